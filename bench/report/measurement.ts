/** One run of one thing. */
export interface Measurement {
  /** What was measured: a row of the table. */
  subject: string;
  /** From 1. */
  run: number;
  /** Numbers by name; one that could not be had is left out. */
  metrics: Partial<Record<MetricName, number>>;
}

export type MetricName =
  | "payloadsPerSecond"
  | "rowsPerSecond"
  | "recordsPerSecond"
  | "ofBareServer"
  | "ofSqlite"
  | "lateRowsPerSecond"
  | "ofCopy"
  | "ofBest"
  | "ofOn"
  | "foreignP95Ms"
  | "ofAlone"
  | "acceptedPerSecond"
  | "landedPerSecond"
  | "backlogRows"
  | "cpuSecondsPer1000"
  | "postgresCpuSecondsPer1000"
  | "peakMemoryMib"
  | "ackP50Ms"
  | "ackP99Ms"
  | "landP50Ms"
  | "landP99Ms"
  | "loopDelayP99Ms"
  | "generatorCpuPercent"
  | "rowsPerCommit"
  | "fiftyUpMs"
  | "hundredUpMs"
  | "upOfMillrace"
  | "restartMs"
  | "restartMaxMs"
  | "residentMib"
  | "proportionalMib"
  | "idleCpuPercent"
  | "failedRequests"
  | "sentRequests"
  | "orphans"
  | "jobsPerSecond"
  | "ofRaw"
  | "startP50Ms"
  | "startP99Ms"
  | "redisMicrosPerJob"
  | "activationsPerJob";

/** What a benchmark hands back. */
export interface BenchReport {
  postgresVersion: string | undefined;
  measurements: Measurement[];
}

export interface Spread {
  median: number;
  min: number;
  max: number;
}

/** All runs of one thing. */
export interface Result {
  subject: string;
  runs: number;
  metrics: Partial<Record<MetricName, Spread>>;
}

/** Middle, lowest and highest of each metric, over the runs of each subject. */
export function summarise(measurements: readonly Measurement[]): Result[] {
  const bySubject = Map.groupBy(measurements, ({ subject }) => subject);
  return [...bySubject].map(([subject, runs]) => {
    const names = new Set(runs.flatMap(({ metrics }) => Object.keys(metrics) as MetricName[]));
    const spreads = [...names].map((name) => [name, spreadOf(runs, name)] as const);
    return { subject, runs: runs.length, metrics: Object.fromEntries(spreads) };
  });
}

function spreadOf(runs: readonly Measurement[], name: MetricName): Spread {
  const sorted = runs
    .flatMap(({ metrics }) => metrics[name] ?? [])
    .toSorted((one, other) => one - other);
  const at = (index: number) => sorted[index] ?? Number.NaN;
  const middle = (sorted.length - 1) / 2;
  return {
    median: (at(Math.floor(middle)) + at(Math.ceil(middle))) / 2,
    min: at(0),
    max: at(sorted.length - 1),
  };
}
