import { momentText } from "./timestamp-text.ts";

const ISO =
  /^(\d{4})-(\d\d)-(\d\d)[Tt ](\d\d):(\d\d):(\d\d)(?:[.,](\d{1,30}))?(?:[Zz]|([+-])(\d\d):?(\d\d))$/;
const MICROSECOND_DIGITS = 6;

/**
 * An ISO 8601 moment with its zone as PostgreSQL reads it in UTC, its fraction cut to microseconds
 * and never a double.
 *
 * @returns undefined for anything else: no zone, no such day or time, a leap second, years before 1.
 */
export function isoText(text: string): string | undefined {
  const match = ISO.exec(text);
  if (match === null) return undefined;
  const part = (index: number) => Number(match[index] ?? 0);
  const [year, month, day, hour, minute, second] = [1, 2, 3, 4, 5, 6].map(part) as [
    number,
    number,
    number,
    number,
    number,
    number,
  ];
  const [zoneHour, zoneMinute] = [part(9), part(10)];
  if (hour > 23 || minute > 59 || second > 59 || zoneHour > 15 || zoneMinute > 59) return undefined;
  // Not `Date.UTC`, to which year 26 is 1926.
  const date = new Date(0);
  date.setUTCFullYear(year, month - 1, day);
  // The 31st of June is the 1st of July to Date.
  if (date.getUTCMonth() !== month - 1 || date.getUTCDate() !== day) return undefined;
  const local = date.getTime() / 1_000 + hour * 3_600 + minute * 60 + second;
  const offset = (zoneHour * 3_600 + zoneMinute * 60) * (match[8] === "-" ? -1 : 1);
  const fraction = (match[7] ?? "").slice(0, MICROSECOND_DIGITS).padEnd(MICROSECOND_DIGITS, "0");
  return momentText(local - offset, Number(fraction));
}
