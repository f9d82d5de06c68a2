import type { PostgresMajor } from "./postgres-options.ts";
import { startPostgres } from "./start-postgres.ts";

/** A PostgreSQL that several users share; it may belong to somebody else. */
export interface SharedPostgres {
  /** Connection URL of a user that may create databases. */
  readonly url: string;
  /** Stops and removes the server if this process started it. */
  remove(): Promise<void>;
}

/**
 * The PostgreSQL that `MILLRACE_TEST_POSTGRES_URL` names, else one started here that trades durability for speed.
 *
 * For whatever only needs databases. To stop or kill a server, start your own with {@link startPostgres}.
 *
 * @param major which version to start; the newest by default.
 */
export async function findTestPostgres(major?: PostgresMajor): Promise<SharedPostgres> {
  const url = process.env["MILLRACE_TEST_POSTGRES_URL"];
  if (url !== undefined && url !== "") return { url, remove: async () => undefined };
  return startPostgres({
    major,
    settings: { fsync: "off", full_page_writes: "off", max_wal_size: "4GB" },
  });
}
