/**
 * What is wrong with the books of a scrape, if anything: every payload that a buffer has stored is
 * pending, claimed, landed, purged, dropped or lost, and servers have acknowledged no more than
 * was stored.
 */
export function findImbalance(metrics: string): string | undefined {
  const appended = sumOf(metrics, "millrace_buffer_appended_rows_total");
  if (appended === undefined) return undefined;
  const accounted = sumOf(metrics, "millrace_buffer_state_rows") ?? 0;
  if (accounted !== appended) {
    return `${appended} payloads stored, ${accounted} accounted for:\n${linesOf(metrics, "millrace_buffer_state_rows").join("\n")}`;
  }
  const acknowledged = sumOf(metrics, "millrace_ingest_payloads_total") ?? 0;
  if (acknowledged > appended) return `${acknowledged} acknowledged, ${appended} stored`;
  return undefined;
}

function sumOf(metrics: string, family: string): number | undefined {
  const lines = linesOf(metrics, family);
  if (lines.length === 0) return undefined;
  return lines.reduce((sum, line) => sum + Number(line.slice(line.lastIndexOf(" "))), 0);
}

function linesOf(metrics: string, family: string): string[] {
  return metrics
    .split("\n")
    .filter((line) => line.startsWith(`${family} `) || line.startsWith(`${family}{`));
}
