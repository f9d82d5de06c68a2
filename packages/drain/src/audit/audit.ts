import { messageOf, MillraceError, parseOptions } from "@millrace/core";
import { readBufferedRuns } from "@millrace/core/buffer";
import { OnDemandConnection } from "../dead-letters/on-demand-connection.ts";
import { asDrainSchema } from "../drain-options.ts";
import { type AuditOptions, auditOptionsSchema, wholeHours } from "./audit-options.ts";
import type { AuditReport } from "./audit-report.ts";
import { type BufferFile, readReport } from "./read-report.ts";

/**
 * Tells what has become of everything that was accepted in some hours: what has landed and is still
 * in the tables, what became dead letters, what is in the buffers and what was dropped. May run
 * while records land, and sees all of the database as of one moment; a pool has its own as
 * `pool.audit`. It asks the first server, never a read replica.
 *
 * @throws {@link MillraceError} `CONFIG_INVALID`, `DRAIN_DATABASE_UNREACHABLE` or
 * `DRAIN_AUDIT_FAILED`.
 * @example
 * ```ts
 * import { audit, postgres } from "@millrace/drain";
 * import { nightwatch } from "@millrace/drain/nightwatch";
 *
 * export async function wasAnythingLost(connectionString: string): Promise<boolean> {
 *   const { isComplete } = await audit({
 *     destination: postgres({ connectionString }),
 *     schema: nightwatch(),
 *     bufferPaths: ["telemetry/buffer.db"],
 *     from: new Date("2026-11-23T10:00:00Z"),
 *     to: new Date("2026-11-23T11:00:00Z"),
 *   });
 *   return !isComplete;
 * }
 * ```
 */
export async function audit(options: AuditOptions): Promise<AuditReport> {
  const resolved = parseOptions(auditOptionsSchema, options, "audit");
  const { destination, bufferPaths } = resolved;
  const schema = asDrainSchema(resolved.schema);
  const range = wholeHours(resolved);
  const connection = new OnDemandConnection(destination, async () => {});
  try {
    // Files first: what lands from then on is in the ledger that is read after them.
    const files: BufferFile[] = [];
    for (const path of bufferPaths) files.push({ path, ...(await readBufferedRuns(path)) });
    return await connection.transaction(async (client, onProgress) => {
      await client.query("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY");
      return readReport(client, { schema, files, range, onProgress });
    });
  } catch (error) {
    if (MillraceError.is(error)) throw error;
    throw new MillraceError("DRAIN_AUDIT_FAILED", `the audit did not finish: ${messageOf(error)}`, {
      cause: error,
      retryable: true,
    });
  } finally {
    await connection.close();
  }
}
