interface ZoneClock {
  format: Intl.DateTimeFormat;
  /** Minute since the epoch that `month` was worked out for: no month begins within a minute. */
  minute: number;
  month: string;
}

const zones = new Map<string, ZoneClock>();

/** The calendar month of `time` in a time zone, as `yyyymm`: the period of a quota. */
export function monthOf(time: number, timeZone = "UTC"): string {
  let zone = zones.get(timeZone);
  if (zone === undefined) {
    const format = new Intl.DateTimeFormat("en-CA", {
      timeZone,
      year: "numeric",
      month: "2-digit",
    });
    zone = { format, minute: Number.NaN, month: "" };
    zones.set(timeZone, zone);
  }
  const minute = Math.floor(time / 60_000);
  if (zone.minute !== minute) {
    const parts = zone.format.formatToParts(time);
    const part = (type: string) => parts.find((candidate) => candidate.type === type)?.value ?? "";
    zone.month = part("year") + part("month");
    zone.minute = minute;
  }
  return zone.month;
}
