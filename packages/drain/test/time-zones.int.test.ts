import { expect, it, onTestFinished } from "vitest";
import { emptyDatabase } from "./fixtures/empty-database.ts";
import { runPool } from "./fixtures/running-pool.ts";
import { numbers } from "./fixtures/telemetry.ts";

/** Of the host and of the database's sessions: offsets of half hours, summer times, the date line. */
const ZONES: ReadonlyArray<[host: string, session: string]> = [
  ["UTC", "America/St_Johns"],
  ["Europe/Berlin", "UTC"],
  ["America/New_York", "Pacific/Apia"],
  ["Asia/Kathmandu", "Europe/Dublin"],
  ["Pacific/Apia", "America/New_York"],
];
/** When clocks go forward or back in some of them, the turn of a year, and before 1970. */
const MOMENTS = [
  "2026-03-29T01:00:00Z",
  "2026-10-25T01:00:00Z",
  "2026-03-08T07:00:00Z",
  "2026-11-01T06:00:00Z",
  "2026-01-01T00:00:00Z",
  "2024-02-29T23:59:59Z",
  "1969-12-31T23:59:59Z",
];
const MICROSECONDS = [1, 123_456, 500_000, 999_999];

/** Unix seconds with six decimals, as a client writes them, and the microseconds that they are. */
function moments(): Array<{ text: string; microseconds: bigint }> {
  return MOMENTS.flatMap((moment) =>
    MICROSECONDS.map((fraction) => {
      const microseconds = BigInt(Date.parse(moment)) * 1_000n + BigInt(fraction);
      const sign = microseconds < 0n ? "-" : "";
      const digits = String(microseconds < 0n ? -microseconds : microseconds).padStart(7, "0");
      return { text: `${sign}${digits.slice(0, -6)}.${digits.slice(-6)}`, microseconds };
    }),
  );
}

it("moments land to the microsecond, whatever the zones of host and database, also where clocks change", async () => {
  const database = await emptyDatabase();
  const name = new URL(database.url).pathname.slice(1);
  const hostZone = process.env["TZ"];
  onTestFinished(() => {
    if (hostZone === undefined) delete process.env["TZ"];
    else process.env["TZ"] = hostZone;
  });
  const sent = moments();
  for (const [host, session] of ZONES) {
    process.env["TZ"] = host;
    await database.query(`ALTER DATABASE ${name} SET timezone = '${session}'`);
    const { append, drained, pool } = await runPool({ url: database.url });
    const from = Date.now();
    const records = sent.map(
      ({ text }, index) => `{"t":"log","timestamp":${text},"message":"${index}"}`,
    );
    await append(Buffer.from(`[${records.join(",")}]`));
    const until = Date.now();
    await drained();
    await pool.close();
    const rows = await database.query<{ place: number; occurred: string; received: number }>(
      `SELECT message::int AS place, (extract(epoch FROM occurred_at) * 1000000)::bigint AS occurred,
         (extract(epoch FROM received_at) * 1000)::float8 AS received
       FROM nightwatch_logs ORDER BY 1`,
    );
    expect([host, session, rows.map(({ occurred }) => BigInt(occurred))]).toEqual([
      host,
      session,
      sent.map(({ microseconds }) => microseconds),
    ]);
    for (const index of numbers(rows.length)) {
      expect(rows[index]?.received).toBeGreaterThanOrEqual(from);
      expect(rows[index]?.received).toBeLessThanOrEqual(until);
    }
    await database.query("TRUNCATE nightwatch_logs");
  }
});
