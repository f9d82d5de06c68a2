/** Something that is on a disk once it is over. */
export interface DurableStep {
  where: "sqlite" | "postgres";
  /** Of the statement by which it is known. */
  pattern: RegExp;
}

/** Everything between the arrival of a payload and its row in PostgreSQL that outlives a process. */
export const DURABLE_STEPS: Record<string, DurableStep> = {
  append: { where: "sqlite", pattern: /^INSERT INTO payloads/ },
  claim: { where: "sqlite", pattern: /^INSERT INTO claims/ },
  recovery: { where: "sqlite", pattern: /^UPDATE claims\s+SET owner/ },
  "ledger entry": { where: "postgres", pattern: /INSERT INTO millrace_ledger/ },
  copy: { where: "postgres", pattern: /^COPY / },
  upsert: { where: "postgres", pattern: /INSERT INTO "?nightwatch_/ },
  commit: { where: "postgres", pattern: /^COMMIT$/ },
  settlement: { where: "sqlite", pattern: /^UPDATE claims SET state = 'landed'/ },
  purge: { where: "sqlite", pattern: /^DELETE FROM payloads/ },
};
