import { selfSigned, startPostgres } from "@millrace/services";
import { Client } from "pg";
import { expect, test } from "vitest";

test("a server with a certificate accepts verified TLS and plain connections", async () => {
  const { cert, key } = selfSigned();
  await using postgres = await startPostgres({ tls: { cert, key } });
  const encrypted = async (ssl: { ca: string } | false): Promise<unknown> => {
    const client = new Client({ connectionString: postgres.url, ssl });
    await client.connect();
    try {
      const { rows } = await client.query<{ ssl: boolean }>(
        "SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()",
      );
      return rows[0]?.ssl;
    } finally {
      await client.end();
    }
  };

  expect(await encrypted({ ca: cert })).toBe(true);
  expect(await encrypted(false)).toBe(false);
});
