import { appendFileSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { waitFor } from "@millrace/core/testing";
import { migrate, postgres, type PostgresOptions } from "@millrace/drain";
import { type PostgresService, selfSigned, startPostgres } from "@millrace/services";
import { afterAll, beforeAll, expect, it } from "vitest";
import { runPool, temporaryFolder } from "./fixtures/running-pool.ts";
import { smallSchema } from "./fixtures/small-schema.ts";
import { request } from "./fixtures/telemetry.ts";

const tls = selfSigned();
let server: PostgresService;
let url: string;

beforeAll(async () => {
  server = await startPostgres({ tls });
  url = await server.createDatabase();
  // From now on it takes connections over TLS only.
  const file = join(server.dataDir, "pg_hba.conf");
  const rules = readFileSync(file, "utf8").replaceAll(/^host\b/gm, "hostssl");
  writeFileSync(file, rules);
  await server.stop();
  await server.start();
});

afterAll(() => server.remove());

const connect = (options: Partial<PostgresOptions>) =>
  migrate({
    destination: postgres({ connectionString: server.url, ...options }),
    schema: smallSchema(),
  });

it("a server's certificate is checked against an authority, by option or by connection string", async () => {
  expect(await connect({ ssl: { ca: tls.cert } })).toBe(true);
  const file = join(temporaryFolder(), "ca.pem");
  appendFileSync(file, tls.cert);
  const connectionString = `${server.url}?sslmode=verify-full&sslrootcert=${encodeURIComponent(file)}`;
  expect(await connect({ connectionString })).toBe(false);
  expect(await connect({ ssl: { rejectUnauthorized: false } })).toBe(false);
});

it("one that nobody vouches for, of another name, or no TLS at all is refused with its reason", async () => {
  const other = selfSigned();
  const refused = { code: "DRAIN_DATABASE_TLS_REFUSED", retryable: true };
  await expect(connect({ ssl: { ca: other.cert } })).rejects.toMatchObject(refused);
  await expect(connect({ ssl: true })).rejects.toMatchObject(refused);
  await expect(
    connect({ connectionString: `${server.url}?sslmode=verify-full` }),
  ).rejects.toMatchObject(refused);
  const ssl = { ca: tls.cert, serverName: "db.shop.example" };
  await expect(connect({ ssl })).rejects.toMatchObject({
    ...refused,
    message: expect.stringContaining("db.shop.example") as string,
  });
  expect(await connect({ ssl: { ...ssl, serverName: "localhost" } })).toBe(false);
  await expect(connect({})).rejects.toMatchObject({
    code: "DRAIN_DATABASE_UNREACHABLE",
    message: expect.stringContaining("the server may demand TLS") as string,
  });
  expect(() => postgres({ connectionString: `${server.url}?sslmode=require`, ssl: true })).toThrow(
    /connectionString: has sslmode/,
  );
});

it("worker threads land over TLS, and wait with a reason while the certificate is not trusted", async () => {
  const { append, drained } = await runPool({ url, destination: { ssl: { ca: tls.cert } } });
  await append([request(1)]);
  await drained();
  const { pool } = await runPool({ url, destination: { ssl: true } });
  await waitFor(() => pool.status().workers[0]?.reason?.includes("certificate"));
});
