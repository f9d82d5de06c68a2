import { execFileSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { startPostgres } from "@millrace/services";
import { Client } from "pg";
import { expect, test } from "vitest";

function selfSigned(): { cert: string; key: string } {
  const folder = mkdtempSync(join(tmpdir(), "millrace-tls-"));
  try {
    execFileSync(
      "openssl",
      [
        ..."req -x509 -nodes -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -days 2".split(" "),
        ..."-subj /CN=localhost -addext subjectAltName=IP:127.0.0.1 -keyout key.pem -out cert.pem".split(
          " ",
        ),
      ],
      { cwd: folder, stdio: "pipe" },
    );
    return {
      cert: readFileSync(join(folder, "cert.pem"), "utf8"),
      key: readFileSync(join(folder, "key.pem"), "utf8"),
    };
  } finally {
    rmSync(folder, { recursive: true });
  }
}

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
