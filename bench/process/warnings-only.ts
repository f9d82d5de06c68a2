import { defaultLogger, type Logger } from "@millrace/core";

const logger = defaultLogger();

/** Logs what goes wrong: a run with warnings did not measure what it should. */
export const warningsOnly: Logger = {
  debug: () => {},
  info: () => {},
  warn: logger.warn.bind(logger),
  error: logger.error.bind(logger),
  child: () => warningsOnly,
};
