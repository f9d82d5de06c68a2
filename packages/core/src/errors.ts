const marker = Symbol.for("millrace.error");

/** What every {@link MillraceError} constructor takes besides code and message. */
export interface MillraceErrorInit extends ErrorOptions {
  /** What a program needs to react; JSON-safe, without secrets or payloads. */
  details?: Readonly<Record<string, unknown>> | undefined;
  /** Whether trying the same call again can succeed. */
  retryable?: boolean | undefined;
}

/** Codes thrown by `@millrace/core`; listed with their way out in docs/reference/errors.md. */
export type CoreErrorCode =
  | "BUFFER_CLOSED"
  | "BUFFER_DAMAGED"
  | "BUFFER_DISK_LOW"
  | "BUFFER_FULL"
  | "BUFFER_LOCKED"
  | "BUFFER_NOT_WRITABLE"
  | "BUFFER_SCHEMA_UNKNOWN"
  | "BUFFER_WRITE_FAILED"
  | "CLOSE_FAILED"
  | "CLOSE_TIMED_OUT"
  | "CONFIG_INVALID"
  | "ILLEGAL_STATE"
  | "NODE_VERSION_UNSUPPORTED"
  | "OPS_LISTEN_FAILED"
  | "START_ABORTED";

/** Base of every error that the Millrace packages throw on purpose. */
export class MillraceError<Code extends string = string> extends Error {
  /** Stable identifier; never renamed, never reused. */
  readonly code: Code;
  readonly details: Readonly<Record<string, unknown>>;
  /** Whether trying the same call again can succeed. */
  readonly retryable: boolean;
  readonly [marker] = true;

  constructor(code: Code, message: string, init: MillraceErrorInit = {}) {
    super(message, "cause" in init ? { cause: init.cause } : undefined);
    this.name = new.target.name;
    this.code = code;
    this.details = init.details ?? {};
    this.retryable = init.retryable ?? false;
  }

  /** True for an error of this family, whichever installed copy of core threw it. */
  static is(error: unknown): error is MillraceError {
    return typeof error === "object" && error !== null && marker in error;
  }
}

/** The message of anything that was thrown. */
export function messageOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  if (error.message !== "") return error.message;
  // Node.js reports a refused connection to a name with several addresses this way.
  if (error instanceof AggregateError) return error.errors.map(messageOf).join("; ");
  return error.name;
}
