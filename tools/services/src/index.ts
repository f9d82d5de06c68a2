/**
 * Starts the real servers that tests, benchmarks and the quickstart talk to, each on a free loopback port.
 *
 * @module
 */
export { startPostgres } from "./postgres/start-postgres.ts";
export { findTestPostgres, type SharedPostgres } from "./postgres/test-postgres.ts";
export type {
  PostgresOptions,
  PostgresPreference,
  PostgresService,
  PostgresStopMode,
} from "./postgres/postgres-options.ts";
export { freePort } from "./free-port.ts";
export { ServiceError, type ServiceErrorCode } from "./service-error.ts";
