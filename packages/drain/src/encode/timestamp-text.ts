/** 0001-01-01 00:00:00, in microseconds since 1970. */
const MIN_MICROSECONDS = -62_135_596_800_000_000;
/** 10000-01-01 00:00:00, the first moment that has no four-digit year. */
const END_MICROSECONDS = 253_402_300_800_000_000;

const MICROSECONDS_PER_SECOND = 1_000_000;
const SECONDS_PER_DAY = 86_400;
/** Days of 400 Gregorian years. */
const DAYS_PER_ERA = 146_097;
/** Days from 0000-03-01 to 1970-01-01. */
const DAYS_TO_EPOCH = 719_468;

/**
 * Unix seconds as PostgreSQL reads them, rounded to microseconds: `2026-11-23 04:36:27.318287+00`.
 *
 * Always 29 characters, so that texts sort as the moments do.
 *
 * @returns undefined outside the years 1 to 9999 and for what is not finite.
 */
export function timestampText(unixSeconds: number): string | undefined {
  return microsecondsText(Math.round(unixSeconds * MICROSECONDS_PER_SECOND));
}

/** Unix seconds as microseconds, rounded as {@link timestampText} does; NaN for what is no number. */
export function microsecondsOf(unixSeconds: unknown): number {
  return typeof unixSeconds === "number"
    ? Math.round(unixSeconds * MICROSECONDS_PER_SECOND)
    : Number.NaN;
}

/** Whether so many microseconds since 1970 are within the years 1 to 9999. */
export function isTimestamp(microseconds: number): boolean {
  return microseconds >= MIN_MICROSECONDS && microseconds < END_MICROSECONDS;
}

/** {@link timestampText} of a whole number of microseconds. */
export function microsecondsText(microseconds: number): string | undefined {
  if (!isTimestamp(microseconds)) return undefined;
  // Remainders of doubles are exact, also beyond 2^53 where a quotient would be rounded.
  const remainder = microseconds % MICROSECONDS_PER_SECOND;
  const fraction = remainder < 0 ? remainder + MICROSECONDS_PER_SECOND : remainder;
  const seconds = (microseconds - fraction) / MICROSECONDS_PER_SECOND;
  const days = Math.floor(seconds / SECONDS_PER_DAY);
  const second = seconds - days * SECONDS_PER_DAY;
  const digits = String(MICROSECONDS_PER_SECOND + fraction).slice(1);
  return `${dateText(days)} ${twoDigits(Math.floor(second / 3_600))}:${twoDigits(
    Math.floor(second / 60) % 60,
  )}:${twoDigits(second % 60)}.${digits}+00`;
}

/** Where in such a text the six digits of the fraction begin. */
const FRACTION_AT = "2026-11-23 04:36:27.".length;

/** {@link timestampText} of milliseconds with an optional fraction. */
export function millisecondsText(milliseconds: number): string | undefined {
  const seconds = Math.floor(milliseconds / 1_000);
  // Remainders of doubles are exact, thousands of them in the year 9999 are not.
  return momentText(seconds, Math.round((milliseconds - seconds * 1_000) * 1_000));
}

/** {@link timestampText} of a string of whole nanoseconds, cut to microseconds. */
export function nanosecondsText(nanoseconds: string): string | undefined {
  const microseconds = BigInt(nanoseconds) / 1_000n;
  return momentText(Number(microseconds / 1_000_000n), Number(microseconds % 1_000_000n));
}

/** {@link timestampText} of whole seconds and up to a million microseconds. */
export function momentText(seconds: number, microseconds: number): string | undefined {
  if (microseconds === MICROSECONDS_PER_SECOND) return momentText(seconds + 1, 0);
  // Whole seconds stay exact in a double long after microseconds are not, from 2255 on.
  const text = microsecondsText(seconds * MICROSECONDS_PER_SECOND);
  const digits = String(MICROSECONDS_PER_SECOND + microseconds).slice(1);
  return text && `${text.slice(0, FRACTION_AT)}${digits}+00`;
}

let lastDays = Number.NaN;
let lastDate = "";

/** `YYYY-MM-DD` of a day counted from 1970-01-01; telemetry asks for the same day again and again. */
function dateText(days: number): string {
  if (days !== lastDays) {
    lastDate = civilFromDays(days);
    lastDays = days;
  }
  return lastDate;
}

/** @see https://howardhinnant.github.io/date_algorithms.html#civil_from_days */
function civilFromDays(days: number): string {
  const shifted = days + DAYS_TO_EPOCH;
  const era = Math.floor(shifted / DAYS_PER_ERA);
  const dayOfEra = shifted - era * DAYS_PER_ERA;
  const yearOfEra = Math.floor(
    (dayOfEra -
      Math.floor(dayOfEra / 1_460) +
      Math.floor(dayOfEra / 36_524) -
      Math.floor(dayOfEra / 146_096)) /
      365,
  );
  const dayOfYear =
    dayOfEra - (365 * yearOfEra + Math.floor(yearOfEra / 4) - Math.floor(yearOfEra / 100));
  const monthFromMarch = Math.floor((5 * dayOfYear + 2) / 153);
  const day = dayOfYear - Math.floor((153 * monthFromMarch + 2) / 5) + 1;
  const month = monthFromMarch < 10 ? monthFromMarch + 3 : monthFromMarch - 9;
  const year = yearOfEra + era * 400 + (month <= 2 ? 1 : 0);
  return `${String(year).padStart(4, "0")}-${twoDigits(month)}-${twoDigits(day)}`;
}

function twoDigits(value: number): string {
  return value < 10 ? `0${value}` : String(value);
}
