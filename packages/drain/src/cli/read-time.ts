/** @throws {TypeError} for what is no moment; `name` is the option. */
export function readTime(name: string, text: string | undefined): Date | undefined {
  if (text === undefined) return undefined;
  const moment = new Date(text);
  if (!Number.isNaN(moment.getTime())) return moment;
  throw new TypeError(`${name} is a moment such as 2026-11-23T08:00:00Z, not ${text}`);
}
