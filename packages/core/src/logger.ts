import { destination, pino } from "pino";

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
  shared ??= pino({ level: "info" }, destination({ dest: 2, sync: true }));
  return shared;
}

/** Discards everything. */
export const silentLogger: Logger = {
  debug: () => {},
  info: () => {},
  warn: () => {},
  error: () => {},
  child: () => silentLogger,
};
