import type { MetricName, Result, Spread } from "./measurement.ts";

interface Column {
  metric: MetricName;
  title: string;
  decimals: number;
  hasSpread: boolean;
}

const COLUMNS: readonly Column[] = [
  column("payloadsPerSecond", "payloads/s", { hasSpread: true }),
  column("rowsPerSecond", "rows/s", { hasSpread: true }),
  column("lateRowsPerSecond", "late rows/s", { hasSpread: true }),
  column("recordsPerSecond", "records/s"),
  column("acceptedPerSecond", "accepted/s", { hasSpread: true }),
  column("landedPerSecond", "landed/s", { hasSpread: true }),
  column("ofBareServer", "of bare", { decimals: 2, hasSpread: true }),
  column("ofSqlite", "of SQLite", { decimals: 2, hasSpread: true }),
  column("ofCopy", "of COPY", { decimals: 2, hasSpread: true }),
  column("ofBest", "of best", { decimals: 2, hasSpread: true }),
  column("ofOn", "of on", { decimals: 2, hasSpread: true }),
  column("foreignP95Ms", "foreign p95 ms", { decimals: 1, hasSpread: true }),
  column("ofAlone", "of alone", { decimals: 2, hasSpread: true }),
  column("jobsPerSecond", "jobs/s", { hasSpread: true }),
  column("ofRaw", "of raw", { decimals: 2, hasSpread: true }),
  column("startP50Ms", "start p50 ms", { decimals: 1, hasSpread: true }),
  column("startP99Ms", "start p99 ms", { decimals: 1, hasSpread: true }),
  column("redisMicrosPerJob", "Redis us/job", { decimals: 1 }),
  column("activationsPerJob", "starts/job", { decimals: 3 }),
  column("backlogRows", "backlog"),
  column("ackP50Ms", "ack p50 ms", { decimals: 2 }),
  column("ackP99Ms", "ack p99 ms", { decimals: 2 }),
  column("landP50Ms", "landed p50 ms"),
  column("landP99Ms", "landed p99 ms"),
  column("loopDelayP99Ms", "loop delay p99 ms", { decimals: 1 }),
  column("cpuSecondsPer1000", "CPU s/1000", { decimals: 4 }),
  column("postgresCpuSecondsPer1000", "PG CPU s/1000", { decimals: 4 }),
  column("peakMemoryMib", "peak MiB"),
  column("rowsPerCommit", "rows/commit", { decimals: 1 }),
  column("generatorCpuPercent", "generator CPU %"),
  column("fiftyUpMs", "50 up ms"),
  column("hundredUpMs", "100 up ms", { hasSpread: true }),
  column("upOfMillrace", "of millrace", { decimals: 1, hasSpread: true }),
  column("restartMs", "restart ms", { decimals: 1, hasSpread: true }),
  column("restartMaxMs", "longest ms", { decimals: 0 }),
  column("residentMib", "RSS MiB", { decimals: 1 }),
  column("proportionalMib", "PSS MiB", { decimals: 1 }),
  column("idleCpuPercent", "idle CPU %", { decimals: 1 }),
  column("failedRequests", "failed"),
  column("sentRequests", "of requests"),
  column("orphans", "orphans"),
];

function column(
  metric: MetricName,
  title: string,
  { decimals = 0, hasSpread = false }: { decimals?: number; hasSpread?: boolean } = {},
): Column {
  return { metric, title, decimals, hasSpread };
}

/** A row for each result, a column for each metric that any of them has: median (min-max). */
export function resultTable(results: readonly Result[]): string {
  const columns = COLUMNS.filter(({ metric }) => results.some(({ metrics }) => metric in metrics));
  const rows = [
    ["", ...columns.map(({ title }) => title)],
    ...results.map(({ subject, metrics }) => [
      subject,
      ...columns.map((shown) => cell(shown, metrics[shown.metric])),
    ]),
  ];
  const widths = rows[0]?.map((_, index) =>
    Math.max(...rows.map((row) => row[index]?.length ?? 0)),
  );
  return rows
    .map((row) =>
      row
        .map((text, index) => {
          const width = widths?.[index] ?? 0;
          return index === 0 ? text.padEnd(width) : text.padStart(width);
        })
        .join("  "),
    )
    .join("\n");
}

function cell({ decimals, hasSpread }: Column, spread: Spread | undefined): string {
  if (spread === undefined) return "-";
  const show = (value: number) =>
    value.toLocaleString("en-US", {
      minimumFractionDigits: decimals,
      maximumFractionDigits: decimals,
    });
  const { median, min, max } = spread;
  return hasSpread ? `${show(median)} (${show(min)}-${show(max)})` : show(median);
}
