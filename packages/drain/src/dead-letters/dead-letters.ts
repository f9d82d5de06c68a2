import {
  Backoff,
  defaultLogger,
  messageOf,
  MillraceError,
  parseOptions,
  sleep,
} from "@millrace/core";
import type { Client } from "pg";
import { segmentLimits } from "../batch/segment-limits.ts";
import { asDrainSchema } from "../drain-options.ts";
import { migrateWith } from "../apply-migrations.ts";
import { DEAD_LETTER_TABLE } from "../schema/bookkeeping.ts";
import type { DrainSchema } from "../schema/drain-schema.ts";
import { LETTERS_SOURCE, payloadsStatement } from "../write/audit-tally.ts";
import { sqlStateOf } from "../write/sqlstate.ts";
import {
  type DeadLetterSelection,
  type DeadLettersOptions,
  deadLettersOptionsSchema,
  type ListDeadLettersOptions,
  listOptionsSchema,
  type ResolvedDeadLettersOptions,
  type ResolvedSelection,
  selectionSchema,
} from "./dead-letter-options.ts";
import { readPage } from "./letter-pages.ts";
import { LetterReplay, type ReplayedChunk } from "./letter-replay.ts";
import { publishLetterMetrics } from "./letter-metrics.ts";
import { OnDemandConnection } from "./on-demand-connection.ts";
import { Replica } from "./replica.ts";
import { type Conditions, selectionConditions } from "./selection-sql.ts";
import type { DeadLetterPage } from "./stored-dead-letter.ts";

export type { DeadLetterPage, StoredDeadLetter } from "./stored-dead-letter.ts";

/** What a replay has come to. */
export interface ReplayResult {
  /** Letters that have landed and are gone. */
  replayed: number;
  /** Letters that are there still, or took the place of a payload some of whose records have landed. */
  stillDead: number;
  /** `stillDead` by code. */
  byReason: Record<string, number>;
}

/** What a handle has done since it was created. */
export interface DeadLetterCounts {
  /** Letters that have landed and are gone. */
  replayed: number;
  /** Letters that were deleted. */
  discarded: number;
}

/** What could not land in a database. */
export interface DeadLetters {
  status(): Readonly<DeadLetterCounts>;
  /**
   * Reads one page, the newest letters first.
   *
   * @throws {@link MillraceError} `CONFIG_INVALID`, `DRAIN_DATABASE_UNREACHABLE` or
   * `DRAIN_DEAD_LETTERS_FAILED`.
   */
  list(options?: ListDeadLettersOptions): Promise<DeadLetterPage>;
  /**
   * Lands letters by the way that records take from the buffer, each exactly once: up to 500 in one
   * transaction that also deletes them. One that still cannot land stays, with its new reason.
   * Letters that come while it runs are left for the next. A filter leaves letters of code
   * `kills_worker` out unless it names that code: they are decoded in this thread.
   *
   * @throws {@link MillraceError} `CONFIG_INVALID`, `DRAIN_DATABASE_UNREACHABLE` or
   * `DRAIN_DEAD_LETTERS_FAILED`; its `details` tell what was done before, and calling again goes on.
   */
  replay(selection: DeadLetterSelection): Promise<ReplayResult>;
  /**
   * Deletes letters for good; those that a replay holds at that moment are left.
   *
   * @returns how many.
   * @throws {@link MillraceError} as `replay` does.
   */
  discard(selection: DeadLetterSelection): Promise<number>;
  /** Closes the connection, if one is open; what is running is rolled back and throws `ILLEGAL_STATE`. */
  close(): Promise<void>;
}

/** Letters that one transaction lands. */
const CHUNK_LETTERS = 500;
/** Their bytes, a single larger letter apart: decoding them holds this thread up. */
const CHUNK_BYTES = 1024 * 1024;
const DISCARD_LETTERS = 5_000;
/** Tries that a transaction gets which met another's locks. */
const MAX_TRIES = 5;
/** The heap that decoding is kept within, in MiB: as a worker's by default. */
const HEAP_MIB = 1_024;

/**
 * Gives access to the dead letters of a database without a running pool; a pool has its own as
 * `pool.deadLetters`. It connects when it is used and disconnects after five seconds unused.
 *
 * @example
 * ```ts
 * import { createDeadLetters, postgres } from "@millrace/drain";
 * import { nightwatch } from "@millrace/drain/nightwatch";
 *
 * export async function replayConstraintViolations(connectionString: string): Promise<number> {
 *   const destination = postgres({ connectionString });
 *   const deadLetters = createDeadLetters({ destination, schema: nightwatch() });
 *   const { replayed } = await deadLetters.replay({ filter: { code: "sqlstate_23514" } });
 *   await deadLetters.close();
 *   return replayed;
 * }
 * ```
 *
 * @throws {@link MillraceError} `CONFIG_INVALID`.
 */
export function createDeadLetters(options: DeadLettersOptions): DeadLetters {
  return openDeadLetters(options, { makesTables: true });
}

/** {@link createDeadLetters}, also where the tables are somebody else's to make. */
export function openDeadLetters(
  options: DeadLettersOptions,
  { makesTables }: { makesTables: boolean },
): DeadLetters {
  const resolved = parseOptions(deadLettersOptionsSchema, options, "createDeadLetters");
  const schema = asDrainSchema(resolved.schema);
  const connection = new OnDemandConnection(resolved.destination, async (client) => {
    if (makesTables) await migrateWith(client, schema);
  });
  return new DatabaseDeadLetters(connection, schema, resolved);
}

class DatabaseDeadLetters implements DeadLetters {
  readonly #connection: OnDemandConnection;
  readonly #schema: DrainSchema;
  readonly #maxInflatedBytes: number;
  readonly #replica: Replica | undefined;
  readonly #counts: DeadLetterCounts = { replayed: 0, discarded: 0 };
  readonly #withdrawMetrics: (() => void) | undefined;
  #replay: LetterReplay | undefined;

  constructor(
    connection: OnDemandConnection,
    schema: DrainSchema,
    options: ResolvedDeadLettersOptions,
  ) {
    const { destination, maxInflatedBytes, logger = defaultLogger(), metrics } = options;
    this.#connection = connection;
    this.#schema = schema;
    this.#maxInflatedBytes = maxInflatedBytes;
    this.#replica =
      destination.readConnectionString === undefined
        ? undefined
        : new Replica(destination, destination.readConnectionString, logger);
    this.#withdrawMetrics = metrics && publishLetterMetrics(metrics, this);
  }

  status(): DeadLetterCounts {
    return { ...this.#counts };
  }

  async list(options: ListDeadLettersOptions = {}): Promise<DeadLetterPage> {
    const resolved = parseOptions(listOptionsSchema, options, "deadLetters.list");
    try {
      const read = (client: Client) => readPage(client, resolved);
      return (await this.#replica?.read(read)) ?? (await this.#connection.transaction(read));
    } catch (error) {
      throw failed("list", error);
    }
  }

  async replay(selection: DeadLetterSelection): Promise<ReplayResult> {
    const resolved = parseOptions(selectionSchema, selection, "deadLetters.replay");
    const result: ReplayResult = { replayed: 0, stillDead: 0, byReason: {} };
    try {
      const lastId = await this.#lastId();
      let ids = await this.#nextChunk(resolved, 0, lastId);
      while (ids.length > 0) {
        const chunk = await this.#replayChunk(ids);
        this.#counts.replayed += chunk.replayed;
        add(result, chunk);
        ids = await this.#nextChunk(resolved, ids.at(-1) ?? lastId, lastId);
      }
      return result;
    } catch (error) {
      throw failed("replay", error, { ...result });
    }
  }

  async discard(selection: DeadLetterSelection): Promise<number> {
    const resolved = parseOptions(selectionSchema, selection, "deadLetters.discard");
    let discarded = 0;
    try {
      const lastId = await this.#lastId();
      const conditions = selectionConditions(resolved).add("id <= ?", lastId);
      for (;;) {
        const rows = await this.#connection.transaction((client) =>
          discardSome(client, conditions),
        );
        discarded += rows;
        this.#counts.discarded += rows;
        if (rows < DISCARD_LETTERS) return discarded;
      }
    } catch (error) {
      throw failed("discard", error, { discarded });
    }
  }

  async close(): Promise<void> {
    this.#withdrawMetrics?.();
    await this.#replica?.close();
    await this.#connection.close();
  }

  /** The newest letter: those that come later are not for this call. */
  #lastId(): Promise<number> {
    return this.#connection.transaction(async (client) => {
      const { rows } = await client.query<{ id: string | null }>(
        `SELECT max(id) AS id FROM ${DEAD_LETTER_TABLE}`,
      );
      return Number(rows[0]?.id ?? 0);
    });
  }

  /** Ids of the letters that the next transaction is to land; none when all had their turn. */
  #nextChunk(selection: ResolvedSelection, afterId: number, lastId: number): Promise<number[]> {
    const conditions = selectionConditions(selection).add("id > ?", afterId).add("id <= ?", lastId);
    if (selection.filter !== undefined && selection.filter.code === undefined) {
      conditions.addPlain("code <> 'kills_worker'");
    }
    return this.#connection.transaction(async (client) => {
      const { rows } = await client.query<{ id: string; bytes: number }>(
        `SELECT id, octet_length(content) AS bytes FROM ${DEAD_LETTER_TABLE}
         WHERE ${conditions.sql} ORDER BY id LIMIT ${CHUNK_LETTERS}`,
        conditions.values,
      );
      let total = 0;
      const end = rows.findIndex(({ bytes }, index) => {
        total += bytes;
        return index > 0 && total > CHUNK_BYTES;
      });
      return rows.slice(0, end === -1 ? undefined : end).map(({ id }) => Number(id));
    });
  }

  async #replayChunk(ids: readonly number[]): Promise<ReplayedChunk> {
    this.#replay ??= new LetterReplay(
      this.#schema,
      segmentLimits({ heapMib: HEAP_MIB, maxInflatedBytes: this.#maxInflatedBytes }),
    );
    const replay = this.#replay;
    const backoff = new Backoff();
    for (;;) {
      try {
        return await this.#connection.transaction((client, onProgress) =>
          replay.run(client, ids, onProgress),
        );
      } catch (error) {
        // Rows are merged piece by piece, not in the one order that keeps drains from deadlock.
        if (!isLockConflict(error) || backoff.attempt + 1 >= MAX_TRIES) throw error;
        await sleep(backoff.nextDelayMs());
      }
    }
  }
}

async function discardSome(client: Client, conditions: Conditions): Promise<number> {
  const noted = payloadsStatement(
    `SELECT date_bin('1 hour', received_at, 'epoch'), '${LETTERS_SOURCE.bufferId}'::uuid,
       ${LETTERS_SOURCE.worker}, 0, NULL, NULL, 0, 0, count(*)
     FROM gone GROUP BY 1 ORDER BY 1`,
  );
  const { rows } = await client.query<{ discarded: number }>(
    `WITH gone AS (
       DELETE FROM ${DEAD_LETTER_TABLE} WHERE id IN (
         SELECT id FROM ${DEAD_LETTER_TABLE} WHERE ${conditions.sql}
         ORDER BY id LIMIT ${DISCARD_LETTERS} FOR UPDATE SKIP LOCKED)
       RETURNING received_at
     ), noted AS (${noted})
     SELECT count(*)::int AS discarded FROM gone`,
    conditions.values,
  );
  return rows[0]?.discarded ?? 0;
}

function add(result: ReplayResult, { replayed, stillDead }: ReplayedChunk): void {
  result.replayed += replayed;
  result.stillDead += stillDead.length;
  for (const code of stillDead) result.byReason[code] = (result.byReason[code] ?? 0) + 1;
}

/** Deadlock, serialisation, or a lock that was not to be had in time: surely rolled back. */
function isLockConflict(error: unknown): boolean {
  const code = sqlStateOf(error);
  return code !== undefined && (code.startsWith("40") || code === "55P03");
}

function failed(
  what: string,
  error: unknown,
  done: Readonly<Record<string, unknown>> = {},
): MillraceError {
  if (MillraceError.is(error)) return error;
  return new MillraceError(
    "DRAIN_DEAD_LETTERS_FAILED",
    `deadLetters.${what} did not finish (${messageOf(error)}): what it had committed stays done, call it again for the rest`,
    { cause: error, details: done, retryable: true },
  );
}
