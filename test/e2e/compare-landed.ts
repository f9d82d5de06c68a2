import { nightwatch } from "@millrace/drain/nightwatch";
import { Client } from "pg";

type Row = Record<string, unknown>;

/** Reads every row of the tables that carry `deploy`, by its mark, with timestamps as exact text. */
export async function readRowsByMark(
  databaseUrl: string,
): Promise<Map<string, { table: string; row: Row }>> {
  const client = new Client({ connectionString: databaseUrl });
  await client.connect();
  const found = new Map<string, { table: string; row: Row }>();
  try {
    for (const { name, columns } of nightwatch().tables) {
      const list = Object.entries(columns).map(([column, { type }]) =>
        type === "timestamptz"
          ? `(extract(epoch FROM "${column}") * 1000000)::bigint::text AS "${column}"`
          : `"${column}"`,
      );
      const { rows } = await client.query<Row>(
        `SELECT ${list.join(", ")}, unknown_fields, token FROM ${name}`,
      );
      for (const row of rows) found.set(String(row["deploy"]), { table: name, row });
    }
  } finally {
    await client.end();
  }
  return found;
}

/** Fields of a sent record whose landed value is another; empty when all are the same. */
export function differences(record: Row, landed: { table: string; row: Row }): string[] {
  const table = nightwatch().tables.find(({ name }) => name === landed.table);
  if (table === undefined) return [`no table ${landed.table}`];
  const wrong = [];
  const fields = new Set(["t"]);
  for (const [column, { type, field, emptyAsNull }] of Object.entries(table.columns)) {
    fields.add(field);
    const sent = record[field];
    const expected = emptyAsNull === true && sent === "" ? null : sent;
    const actual = landed.row[column];
    if (expectedText(type, expected) !== expectedText(type, actual, true)) {
      wrong.push(`${field}: sent ${JSON.stringify(sent)}, landed ${JSON.stringify(actual)}`);
    }
  }
  for (const field of Object.keys(record))
    if (!fields.has(field)) wrong.push(`${field}: no column`);
  return wrong;
}

function expectedText(type: string, value: unknown, isLanded = false): string {
  if (value === null || value === undefined) return "NULL";
  if (type === "timestamptz") return isLanded ? String(value) : microseconds(String(value));
  return typeof value === "object" ? JSON.stringify(value) : String(value);
}

/** Decimal seconds as whole microseconds, by text alone: the test must not share the code's maths. */
function microseconds(seconds: string): string {
  const [whole = "0", fraction = ""] = seconds.split(".");
  const digits = fraction.padEnd(7, "0");
  const micros = BigInt(whole + digits.slice(0, 6));
  return String(Number(digits[6]) >= 5 ? micros + 1n : micros);
}
