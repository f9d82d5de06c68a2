import { nightwatch } from "@millrace/drain/nightwatch";
import { Client } from "pg";

/** What is in the tables, told apart by the marks of the records. */
interface LandedRows {
  rows: number;
  /** Rows with a mark of their own. */
  marks: number;
  deadLetters: number;
}

/** Counts the rows whose mark starts with `<run>-`. */
async function countLandedRows(client: Client, run: string): Promise<LandedRows> {
  const { rows } = await client.query<Record<keyof LandedRows, string>>(
    `SELECT count(*) AS rows, count(DISTINCT deploy) AS marks,
       (SELECT count(*) FROM millrace_dead_letters) AS "deadLetters"
     FROM (${markedRowsSql("deploy")}) AS landed WHERE deploy LIKE $1`,
    [`${run}-%`],
  );
  const [counts] = rows;
  return {
    rows: Number(counts?.rows),
    marks: Number(counts?.marks),
    deadLetters: Number(counts?.deadLetters),
  };
}

/** @throws {@link Error} unless exactly `expected` records are there, each once. */
export async function checkLandedRows(url: string, run: string, expected: number): Promise<void> {
  const client = new Client({ connectionString: url });
  await client.connect();
  const { rows, marks, deadLetters } = await countLandedRows(client, run);
  await client.end();
  if (rows === expected && marks === expected && deadLetters === 0) return;
  throw new Error(
    `of ${expected} acknowledged records ${Math.max(0, expected - marks)} are lost and ` +
      `${rows - marks} doubled; ${rows} rows and ${deadLetters} dead letters landed`,
  );
}

/** A SELECT of `columns` from every declared table whose rows carry a mark. */
export function markedRowsSql(columns: string): string {
  return nightwatch()
    .tables.filter((table) => table.columns["deploy"] !== undefined)
    .map(({ name }) => `SELECT ${columns} FROM ${name}`)
    .join(" UNION ALL ");
}
