import { messageOf } from "@millrace/core/thread";
import { copyColumnOf, sqlStateOf } from "./sqlstate.ts";

/** What a table says to every row. */
export interface TableFault {
  /** PostgreSQL's five characters. */
  readonly sqlState: string;
  /** The constraint or column that the server named, if it named one. */
  readonly at: string | undefined;
  /** The server's words about the row that opened the breaker. */
  readonly message: string;
}

/** A breaker that has opened or closed for good: what did it has been committed. */
export interface BreakerChange {
  readonly table: string;
  /** Undefined: the table takes rows again. */
  readonly fault: TableFault | undefined;
}

interface Streak {
  readonly fault: TableFault;
  /** Rows refused for it since the table last took one. */
  readonly rows: number;
}

/**
 * A circuit breaker for each table. It opens when the server has refused more rows of a table in a
 * row than the limit, all with one SQLSTATE at one constraint or column: then it is the table that is
 * at fault, and looking for the fault row by row is wasted. It closes as soon as the table takes a
 * row, or refuses one for another reason.
 */
export class TableBreakers {
  readonly #limit: number;
  readonly #onChange: (change: BreakerChange) => void;
  #streaks = new Map<string, Streak>();
  #committed = new Map<string, Streak>();

  /** @param limit rows that may be refused in a row before a table's breaker opens. */
  constructor(limit: number, onChange: (change: BreakerChange) => void) {
    this.#limit = limit;
    this.#onChange = onChange;
  }

  get isAnyOpen(): boolean {
    return this.#streaks.size > 0 && [...this.#streaks.keys()].some((table) => this.isOpen(table));
  }

  isOpen(table: string): boolean {
    return this.#isOver(this.#streaks.get(table));
  }

  refused(table: string, error: unknown): void {
    const fault = faultOf(error);
    const before = this.#streaks.get(table);
    const isSame = before?.fault.sqlState === fault.sqlState && before.fault.at === fault.at;
    this.#streaks.set(table, isSame ? { ...before, rows: before.rows + 1 } : { fault, rows: 1 });
  }

  landed(table: string): void {
    this.#streaks.delete(table);
  }

  /** Makes what has happened since the last call count; to call once a batch is committed. */
  commit(): void {
    const [before, after] = [this.#committed, this.#streaks];
    this.#committed = new Map(after);
    for (const table of new Set([...before.keys(), ...after.keys()])) {
      const isOpen = this.#isOver(after.get(table));
      if (isOpen === this.#isOver(before.get(table))) continue;
      this.#onChange({ table, fault: isOpen ? after.get(table)?.fault : undefined });
    }
  }

  /** Forgets it instead: the rows of a batch that was rolled back will be seen again. */
  rollBack(): void {
    this.#streaks = new Map(this.#committed);
  }

  #isOver(streak: Streak | undefined): boolean {
    return streak !== undefined && streak.rows > this.#limit;
  }
}

function faultOf(error: unknown): TableFault {
  return {
    sqlState: sqlStateOf(error) ?? "unknown",
    at: named(error, "constraint") ?? named(error, "column") ?? copyColumnOf(error),
    message: messageOf(error),
  };
}

/** A field of the server's error that names an object. */
function named(error: unknown, field: "constraint" | "column"): string | undefined {
  const name: unknown =
    typeof error === "object" && error !== null ? Reflect.get(error, field) : undefined;
  return typeof name === "string" && name !== "" ? name : undefined;
}
