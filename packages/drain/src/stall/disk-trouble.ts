/** SQLite has waited 5 s for a lock before it says BUSY. */
const DISK_TROUBLE = [
  "SQLITE_BUSY",
  "SQLITE_FULL",
  "SQLITE_IOERR",
  "SQLITE_READONLY",
  // The buffer is about to fail for it; a worker need not die first.
  "BUFFER_DAMAGED",
];

/** Whether an error is one of the buffer file's that may pass. */
export function isDiskTrouble(error: unknown): boolean {
  const code: unknown = error instanceof Error ? Reflect.get(error, "code") : undefined;
  return typeof code === "string" && DISK_TROUBLE.some((trouble) => code.startsWith(trouble));
}
