/** What went wrong with a service; stable, one of these words. */
export type ServiceErrorCode =
  | "SERVICES_NOT_FOUND"
  | "SERVICES_START_FAILED"
  | "SERVICES_STOP_FAILED"
  | "SERVICES_TIMED_OUT";

/**
 * The error that every function of this package throws.
 *
 * It is not a `MillraceError` because this package imports nothing of Millrace: core's own tests use it.
 */
export class ServiceError extends Error {
  override readonly name = "ServiceError";
  /** The stable code to branch on. */
  readonly code: ServiceErrorCode;

  constructor(code: ServiceErrorCode, message: string, options?: ErrorOptions) {
    super(message, options);
    this.code = code;
  }
}
