import { startRedis } from "./start-redis.ts";

/** A Redis that several users share; it may belong to somebody else, so keep to a key prefix of your own. */
export interface SharedRedis {
  readonly url: string;
  /** Stops and removes the server if this process started it. */
  remove(): Promise<void>;
}

/**
 * The Redis that `MILLRACE_TEST_REDIS_URL` names, else one started here.
 *
 * To stop, kill or configure a server, start your own with {@link startRedis}.
 */
export async function findTestRedis(): Promise<SharedRedis> {
  const url = process.env["MILLRACE_TEST_REDIS_URL"];
  if (url !== undefined && url !== "") return { url, remove: async () => undefined };
  return startRedis();
}
