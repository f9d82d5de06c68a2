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
export {
  startPgBouncer,
  type PgBouncerOptions,
  type PgBouncerService,
} from "./proxy/start-pgbouncer.ts";
export {
  startHaproxy,
  type HaproxyBackendStatus,
  type HaproxyOptions,
  type HaproxyService,
} from "./proxy/start-haproxy.ts";
export { startRedis, type RedisOptions, type RedisService } from "./redis/start-redis.ts";
export {
  startRedisCluster,
  type RedisCluster,
  type RedisClusterNode,
  type RedisClusterOptions,
} from "./redis/start-redis-cluster.ts";
export { findTestRedis, type SharedRedis } from "./redis/test-redis.ts";
export { findChromium } from "./find-chromium.ts";
export { type Certificate, selfSigned } from "./self-signed.ts";
