/** Rows of one statement; keeps plans and parameters of a sane size. */
const MAX_STATEMENT_ROWS = 5_000;
/** Characters of one statement's values; a single row may exceed it. */
const MAX_STATEMENT_LENGTH = 8 * 1024 * 1024;

/** Cuts rows, each a list of values, into the parameters of statements: one array a column. */
export function statementValues(
  rows: Iterable<ReadonlyArray<string | null>>,
): Array<Array<Array<string | null>>> {
  const statements: Array<Array<Array<string | null>>> = [];
  let columns: Array<Array<string | null>> = [];
  let count = 0;
  let length = 0;
  for (const row of rows) {
    const rowLength = lengthOf(row);
    const isFull = count === MAX_STATEMENT_ROWS || length + rowLength > MAX_STATEMENT_LENGTH;
    if (count === 0 || isFull) {
      columns = row.map(() => []);
      statements.push(columns);
      count = 0;
      length = 0;
    }
    for (const [column, value] of row.entries()) columns[column]?.push(value);
    count++;
    length += rowLength;
  }
  return statements;
}

function lengthOf(row: ReadonlyArray<string | null>): number {
  let length = 0;
  for (const value of row) length += value?.length ?? 0;
  return length;
}
