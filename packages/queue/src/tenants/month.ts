const formats = new Map<string, Intl.DateTimeFormat>();

/** The calendar month of `time` in a time zone, as `yyyymm`: the period of a quota. */
export function monthOf(time: number, timeZone = "UTC"): string {
  let format = formats.get(timeZone);
  if (format === undefined) {
    format = new Intl.DateTimeFormat("en-CA", { timeZone, year: "numeric", month: "2-digit" });
    formats.set(timeZone, format);
  }
  const parts = format.formatToParts(time);
  const part = (type: string) => parts.find((candidate) => candidate.type === type)?.value ?? "";
  return part("year") + part("month");
}
