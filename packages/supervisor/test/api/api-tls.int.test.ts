import { execFileSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { request } from "node:https";
import { join } from "node:path";
import { expect, test } from "vitest";
import { startSupervisor } from "../fixtures/start-supervisor.ts";
import { temporaryFolder } from "../fixtures/temporary-folder.ts";

function certificate(): { key: string; cert: string } {
  const folder = temporaryFolder();
  const files = ["-keyout", join(folder, "key.pem"), "-out", join(folder, "cert.pem")];
  const subject = ["-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost"];
  const kind = [
    "-x509",
    "-newkey",
    "ec",
    "-pkeyopt",
    "ec_paramgen_curve:prime256v1",
    "-nodes",
    "-days",
    "1",
  ];
  execFileSync("openssl", ["req", ...kind, ...files, ...subject], { stdio: "ignore" });
  return {
    key: readFileSync(join(folder, "key.pem"), "utf8"),
    cert: readFileSync(join(folder, "cert.pem"), "utf8"),
  };
}

function status(url: string, options: object): Promise<number | undefined> {
  return new Promise((resolve, reject) => {
    request(`${url}/api/v1/health`, options, (response) => {
      response.resume();
      resolve(response.statusCode);
    })
      .on("error", reject)
      .end();
  });
}

test("with tls the management API speaks HTTPS, and with a ca only to clients that it signed", async () => {
  const { key, cert } = certificate();
  const open = await startSupervisor({ processes: {}, api: { port: 0, tls: { key, cert } } });
  const url = (open.status().apiUrl ?? "").replace("127.0.0.1", "localhost");
  expect(url).toMatch(/^https:/);
  expect(await status(url, { ca: cert })).toBe(200);
  const mutual = await startSupervisor({
    processes: {},
    api: { port: 0, tls: { key, cert, ca: cert } },
  });
  const guarded = (mutual.status().apiUrl ?? "").replace("127.0.0.1", "localhost");
  await expect(status(guarded, { ca: cert })).rejects.toThrow(/certificate|socket|reset/i);
  expect(await status(guarded, { ca: cert, key, cert })).toBe(200);
});
