import type { Client } from "pg";
import { quoteIdentifier } from "../schema/identifier.ts";
import type { ExistingPartition, PartitionedTable } from "./partition-plan.ts";

/** A partitioned table as the database has it. Names are quoted and have their schema. */
export interface PartitionedParent {
  readonly table: PartitionedTable;
  readonly name: string;
  readonly schema: string;
  readonly defaultPartition: string | undefined;
  readonly partitions: readonly ExistingPartition[];
  /** The server's clock: agents may disagree about the time, and retention drops by it. */
  readonly now: Date;
}

/** Why the partitions of a table are not looked after. */
export type Unmaintained = "missing" | "not partitioned" | "partitioned otherwise";

/** Reads what is there of a table and its partitions; in a transaction whose time zone is UTC. */
export async function readParent(
  client: Client,
  table: PartitionedTable,
): Promise<PartitionedParent | Unmaintained> {
  const { rows } = await client.query<{
    isPartitioned: boolean;
    isAsDeclared: boolean | null;
    schema: string;
    nowMs: number;
  }>(
    `SELECT relkind = 'p' AS "isPartitioned",
       pg_get_partkeydef(pg_class.oid) = format('RANGE (%I)', $2::text) AS "isAsDeclared",
       nspname AS schema,
       extract(epoch FROM clock_timestamp())::float8 * 1000 AS "nowMs"
     FROM pg_class JOIN pg_namespace ON pg_namespace.oid = relnamespace
     WHERE pg_class.oid = to_regclass($1)`,
    [quoteIdentifier(table.name), table.partitionBy.column],
  );
  const parent = rows[0];
  if (parent === undefined) return "missing";
  if (!parent.isPartitioned) return "not partitioned";
  if (parent.isAsDeclared !== true) return "partitioned otherwise";
  const children = await readChildren(client, table.name);
  return {
    table,
    schema: parent.schema,
    name: qualify(parent.schema, table.name),
    defaultPartition: children.find(({ bound }) => bound === "DEFAULT")?.quoted,
    partitions: children.flatMap(({ name, bound }) => {
      const range = readBound(bound);
      return range === undefined ? [] : [{ name, ...range }];
    }),
    now: new Date(parent.nowMs),
  };
}

/** `"schema"."name"`. */
export function qualify(schema: string, name: string): string {
  return `${quoteIdentifier(schema)}.${quoteIdentifier(name)}`;
}

async function readChildren(
  client: Client,
  parent: string,
): Promise<Array<{ name: string; quoted: string; bound: string }>> {
  const { rows } = await client.query<{ name: string; quoted: string; bound: string }>(
    `SELECT relname AS name, format('%I.%I', nspname, relname) AS quoted,
       pg_get_expr(relpartbound, pg_class.oid) AS bound
     FROM pg_inherits
     JOIN pg_class ON pg_class.oid = inhrelid
     JOIN pg_namespace ON pg_namespace.oid = relnamespace
     WHERE inhparent = to_regclass($1) AND NOT inhdetachpending`,
    [quoteIdentifier(parent)],
  );
  return rows;
}

/** Reads `FOR VALUES FROM ('2026-11-23 00:00:00+00') TO (MAXVALUE)`. */
function readBound(bound: string): Omit<ExistingPartition, "name"> | undefined {
  const match = /^FOR VALUES FROM \((.+)\) TO \((.+)\)$/.exec(bound);
  return match === null ? undefined : { from: readMoment(match[1]), to: readMoment(match[2]) };
}

/** @returns undefined for MINVALUE, MAXVALUE and the infinities. */
function readMoment(text = ""): Date | undefined {
  const match = /^'(\S+) (\S+)\+00'$/.exec(text);
  return match === null ? undefined : new Date(`${match[1]}T${match[2]}Z`);
}
