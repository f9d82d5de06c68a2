import { request, type RequestOptions } from "node:http";
import { join } from "node:path";
import { createSupervisor } from "@millrace/supervisor";
import { Registry } from "prom-client";
import { expect, test } from "vitest";
import { errorSchema } from "../../src/api/api-schemas.ts";
import { startSupervisor } from "../fixtures/start-supervisor.ts";
import { temporaryFolder } from "../fixtures/temporary-folder.ts";

const TOKEN = "secret-token-of-the-test";

interface Answer {
  status: number | undefined;
  connection: string | undefined;
  body: unknown;
}

/** Sends a head, and no body after it that was announced. */
function ask(options: RequestOptions, more: Record<string, string> = {}): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const headers = { Authorization: `Bearer ${TOKEN}`, ...more };
    const outgoing = request({ ...options, headers }, (response) => {
      let text = "";
      response.on("data", (chunk: Buffer) => (text += chunk.toString()));
      response.on("end", () => {
        const { statusCode: status } = response;
        resolve({ status, connection: response.headers.connection, body: JSON.parse(text) });
        outgoing.destroy();
      });
    });
    outgoing.on("error", reject);
    if (options.method === "POST") outgoing.flushHeaders();
    else outgoing.end();
  });
}

test("only addresses that may use the API are answered, whatever they send and say of themselves", async () => {
  const metrics = new Registry();
  const socketPath = join(temporaryFolder(), "api.sock");
  const supervisor = await startSupervisor({
    processes: { worker: { command: ["sleep", "1000"] } },
    metrics,
    // Peers come as ::ffff:127.0.0.x.
    api: {
      host: "::",
      port: 0,
      socket: socketPath,
      tokens: [TOKEN],
      allow: ["127.0.0.0/29"],
      deny: ["127.0.0.3"],
    },
  });
  const { port } = new URL(supervisor.status().apiUrl ?? "");
  const from = (localAddress: string): RequestOptions => ({
    host: "127.0.0.1",
    port,
    localAddress,
  });
  const path = "/api/v1/processes/worker";

  expect((await ask({ ...from("127.0.0.2"), path })).status).toBe(200);
  for (const stranger of ["127.0.0.3", "127.0.0.8"]) {
    const refused = await ask({ ...from(stranger), path });
    expect(refused).toMatchObject({ status: 403, connection: "close" });
    expect(errorSchema.parse(refused.body).error.code).toBe("ADDRESS_REFUSED");
  }
  // Nor is a path open that asks for no token, nor one that a header makes look near.
  const headers = { "X-Forwarded-For": "127.0.0.2", Forwarded: "for=127.0.0.2" };
  expect((await ask({ ...from("127.0.0.8"), path: "/api/v1/health" }, headers)).status).toBe(403);
  // Before any of the body has come.
  const scale = { ...from("127.0.0.8"), path: `${path}/scale`, method: "POST" };
  expect((await ask(scale, { "Content-Length": "1000" })).status).toBe(403);

  expect((await ask({ socketPath, path })).status).toBe(200);
  const mounted = new Request(`http://localhost${path}`, {
    headers: { Authorization: `Bearer ${TOKEN}` },
  });
  expect((await supervisor.fetch(mounted)).status).toBe(200);
  const anonymous = { Authorization: "" };
  expect((await ask({ ...from("127.0.0.2"), path }, anonymous)).status).toBe(401);
  const text = await metrics.metrics();
  expect(text).toContain('millrace_api_refusals_total{reason="address_refused"} 4');
  expect(text).toContain('millrace_api_refusals_total{reason="unauthorized"} 1');
});

test("what is neither an address nor a range is refused with the options", () => {
  const api = { allow: ["localhost"], deny: ["10.0.0.0/33"] };
  expect(() => createSupervisor({ processes: {}, api })).toThrow(
    /api\.allow\.0: expected an address or a range.*api\.deny\.0: expected an address or a range/s,
  );
});
