import { createRequire } from "node:module";
import type * as Pino from "pino";

/** One level of a {@link Logger}: pino's calling forms. */
export interface LogMethod {
  (fields: object, message?: string): void;
  (message: string): void;
}

/** What the packages ask of a logger; a pino logger fits. */
export interface Logger {
  debug: LogMethod;
  info: LogMethod;
  warn: LogMethod;
  error: LogMethod;
  child(bindings: Record<string, unknown>): Logger;
}

let shared: Logger | undefined;

/** The logger of components that were given none: pino at `info`, JSON lines on stderr. */
export function defaultLogger(): Logger {
  shared ??= createDefaultLogger();
  return shared;
}

/** Whoever brings a logger of their own doesn't pay 5 MiB for pino. */
function createDefaultLogger(): Logger {
  const { destination, pino } = createRequire(import.meta.url)("pino") as typeof Pino;
  return pino({ level: "info" }, destination({ dest: 2, sync: true }));
}

/** Discards everything. */
export const silentLogger: Logger = {
  debug: () => {},
  info: () => {},
  warn: () => {},
  error: () => {},
  child: () => silentLogger,
};
