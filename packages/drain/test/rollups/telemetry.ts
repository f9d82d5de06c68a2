import { createRandom } from "@millrace/load";

/** Makes payloads of requests, queries, job attempts and exceptions of the last three hours. */
export function mixedTelemetry(seed: number): (records: number) => Array<Record<string, unknown>> {
  const random = createRandom(seed);
  const below = (limit: number) => Math.floor(random() * limit);
  const now = Date.now() / 1_000;
  return (records) =>
    Array.from({ length: records }, () => {
      const own = {
        timestamp: now - random() * 10_800,
        trace_id: `trace-${below(1e9)}`,
        _group: below(20) === 0 ? undefined : `group-${below(12)}`,
        duration: below(15) === 0 ? null : Math.round(Math.exp(5 + 12 * random())),
      };
      switch (below(4)) {
        case 0:
          return {
            t: "request",
            ...own,
            status_code: [200, 404, 500, 503][below(4)],
            method: "GET",
          };
        case 1:
          return { t: "query", ...own, connection: "pgsql" };
        case 2:
          return { t: "job-attempt", ...own, status: ["processed", "failed"][below(2)] };
        default:
          return { t: "exception", ...own, duration: undefined, handled: below(2) === 0 };
      }
    });
}
