import { request as httpRequest, type RequestOptions } from "node:http";
import { statSync } from "node:fs";
import { join } from "node:path";
import { createSupervisor, type Supervisor, type SupervisorOptions } from "@millrace/supervisor";
import { createMemoryLogger, waitFor } from "@millrace/core/testing";
import { describe, expect, test } from "vitest";
import { API_ROUTES } from "../../src/api/api-routes.ts";
import { errorSchema } from "../../src/api/api-schemas.ts";
import { startSupervisor } from "../fixtures/start-supervisor.ts";
import { temporaryFolder } from "../fixtures/temporary-folder.ts";

const TOKEN = "secret-token-of-the-test";
const READ_TOKEN = "another-token-that-reads";

async function start(extra: Partial<SupervisorOptions> = {}): Promise<{
  supervisor: Supervisor;
  call: (method: string, path: string, body?: unknown, token?: string) => Promise<Response>;
}> {
  const supervisor = await startSupervisor({
    processes: {
      "queue-default": {
        command: ["sh", "-c", "echo hello; exec sleep 1000"],
        scale: 3,
        maxScale: 20,
        env: { DATABASE_PASSWORD: "hunter2-secret" },
      },
      nightly: {
        command: ["true"],
        schedule: { cron: "0 3 * * *", timezone: "Europe/Copenhagen" },
      },
    },
    api: { port: 0, tokens: [TOKEN, { name: "reader", token: READ_TOKEN, scopes: ["read"] }] },
    ...extra,
  });
  await supervisor.whenReady();
  const url = supervisor.status().apiUrl ?? "";
  const call = (method: string, path: string, body?: unknown, token = TOKEN): Promise<Response> =>
    fetch(url + path, {
      method,
      headers: {
        ...(token === "" ? {} : { Authorization: `Bearer ${token}` }),
        "Content-Type": "application/json",
      },
      ...(body === undefined
        ? {}
        : { body: typeof body === "string" ? body : JSON.stringify(body) }),
    });
  return { supervisor, call };
}

describe("management API", () => {
  test("scaling from 3 to 10 and back answers as documented and keeps the first three", async () => {
    const { supervisor, call } = await start();
    const before = supervisor.process("queue-default").instances.map(({ pid }) => pid);
    const response = await call("POST", "/api/v1/processes/queue-default/scale", { desired: 10 });
    expect(response.status).toBe(202);
    const accepted = (await response.json()) as { operation: string };
    expect(accepted).toMatchObject({
      status: "scaling",
      process: "queue-default",
      current: 3,
      desired: 10,
      message: "Scaling from 3 to 10 instances",
    });
    await waitFor(async () => {
      const operation = await call("GET", `/api/v1/operations/${accepted.operation}`);
      return ((await operation.json()) as { state: string }).state === "succeeded";
    });
    const flat = await call("GET", "/api/v1/processes?flat=true");
    const instances = (await flat.json()) as Array<{ name: string; state: string; pid: number }>;
    expect(instances.map(({ name }) => name)).toContain("queue-default-10");
    expect(instances.slice(0, 3).map(({ pid }) => pid)).toEqual(before);
    expect(Object.keys(instances[0] ?? {})).toEqual(["name", "state", "pid", "uptime"]);
    await call("POST", "/api/v1/processes/queue-default/scale", { delta: -7 });
    await waitFor(() => supervisor.process("queue-default").scale === 3);
  });

  test("every route answers by its schema", async () => {
    const { call } = await start();
    const operation = (await (
      await call("POST", "/api/v1/processes/queue-default/start")
    ).json()) as { operation: string };
    for (const route of API_ROUTES) {
      if (route.answer === "text/event-stream" || route.path.endsWith("rollback")) continue;
      const path = route.path
        .replace("{name}", route.path.includes("/schedule") ? "nightly" : "queue-default")
        .replace("{id}", operation.operation);
      const body = route.path.endsWith("/scale") ? { desired: 3 } : undefined;
      const response = await call(route.method.toUpperCase(), path, body);
      expect(`${route.path} ${response.status}`).toBe(`${route.path} ${route.status}`);
      if (typeof route.answer === "string") continue;
      route.answer.parse(await response.json());
    }
  });

  test.each([
    ["GET", "/api/v1/processes", undefined, "", 401, "UNAUTHORIZED"],
    ["GET", "/api/v1/processes", undefined, "wrong-token", 401, "UNAUTHORIZED"],
    ["GET", "/metrics", undefined, "", 401, "UNAUTHORIZED"],
    ["POST", "/api/v1/processes/queue-default/stop", undefined, READ_TOKEN, 403, "FORBIDDEN"],
    ["GET", "/api/v1/processes/nobody", undefined, TOKEN, 404, "SUPERVISOR_PROCESS_UNKNOWN"],
    [
      "POST",
      "/api/v1/processes/queue-default-77/stop",
      undefined,
      TOKEN,
      404,
      "SUPERVISOR_INSTANCE_UNKNOWN",
    ],
    ["GET", "/api/v1/operations/none", undefined, TOKEN, 404, "SUPERVISOR_OPERATION_UNKNOWN"],
    ["GET", "/api/v1/nothing", undefined, TOKEN, 404, "NOT_FOUND"],
    [
      "POST",
      "/api/v1/processes/queue-default/rollback",
      undefined,
      TOKEN,
      409,
      "SUPERVISOR_NOTHING_TO_ROLL_BACK",
    ],
    [
      "GET",
      "/api/v1/processes/nobody/explain",
      undefined,
      TOKEN,
      404,
      "SUPERVISOR_PROCESS_UNKNOWN",
    ],
    [
      "GET",
      "/api/v1/processes/nobody/schedule",
      undefined,
      TOKEN,
      404,
      "SUPERVISOR_PROCESS_UNKNOWN",
    ],
    [
      "GET",
      "/api/v1/processes/queue-default/schedule",
      undefined,
      TOKEN,
      409,
      "SUPERVISOR_NOT_SCHEDULED",
    ],
    ["POST", "/api/v1/processes/nightly/schedule/trigger", undefined, READ_TOKEN, 403, "FORBIDDEN"],
    ["GET", "/api/v1/logs?limit=none", undefined, TOKEN, 400, "LIMIT_INVALID"],
    [
      "POST",
      "/api/v1/processes/queue-default/scale",
      { desired: 21 },
      TOKEN,
      422,
      "SUPERVISOR_SCALE_OUT_OF_RANGE",
    ],
    ["POST", "/api/v1/processes/queue-default/scale", { desired: -1 }, TOKEN, 400, "BODY_INVALID"],
    [
      "POST",
      "/api/v1/processes/queue-default/scale",
      { desired: 3, stpe: 1 },
      TOKEN,
      400,
      "BODY_INVALID",
    ],
    ["POST", "/api/v1/processes/queue-default/scale", "{", TOKEN, 400, "BODY_INVALID"],
    [
      "POST",
      "/api/v1/processes/queue-default/scale",
      " ".repeat(70_000),
      TOKEN,
      413,
      "BODY_TOO_LARGE",
    ],
    ["GET", "/api/v1/processes/queue-default/logs?limit=0", undefined, TOKEN, 400, "LIMIT_INVALID"],
  ])("%s %s is refused with %s %s %i %s", async (method, path, body, token, status, code) => {
    const { call } = await start();
    const response = await call(method, path, body, token);
    expect(response.status).toBe(status);
    expect(errorSchema.parse(await response.json()).error.code).toBe(code);
  });

  test("who changes something is in the log by the name of the token, never by the token", async () => {
    const logger = createMemoryLogger();
    const api = { port: 0, tokens: [{ name: "deploys", token: TOKEN }] };
    const { call } = await start({ logger, api });
    await call("POST", "/api/v1/processes/queue-default/scale", { desired: 2 });
    await call("GET", "/api/v1/processes");
    const changes = logger.lines.filter(({ fields }) => "actor" in fields);
    expect(changes.map(({ level, fields }) => ({ level, ...fields }))).toEqual([
      {
        level: "info",
        actor: "deploys",
        peer: "127.0.0.1",
        path: "/api/v1/processes/queue-default/scale",
      },
    ]);
    expect(JSON.stringify(logger.lines)).not.toContain(TOKEN);
  });

  test("a refusal carries the values that it is about", async () => {
    const { call } = await start();
    const response = await call(
      "POST",
      "/api/v1/processes/queue-default/scale",
      { desired: 21 },
      TOKEN,
    );
    expect(errorSchema.parse(await response.json()).error.details).toMatchObject({
      process: "queue-default",
      desired: 21,
      maxScale: 20,
    });
  });

  test("health needs no token; logs, metrics and the external count are there; secrets are not", async () => {
    const { supervisor, call } = await start();
    expect(await (await call("GET", "/api/v1/health", undefined, "")).json()).toEqual({
      status: "healthy",
    });
    const external = await call("GET", "/api/v1/external/queue-default");
    expect(await external.json()).toEqual({ process: "queue-default", desired: 3, current: 3 });
    await waitFor(() => supervisor.logs("queue-default").length === 3);
    const logs = (await (
      await call("GET", "/api/v1/processes/queue-default/logs?limit=2")
    ).json()) as {
      count: number;
    };
    expect(logs.count).toBe(2);
    const metrics = await (await call("GET", "/metrics")).text();
    expect(metrics).toContain(
      'millrace_process_up{process="queue-default",instance="queue-default-3"} 1',
    );
    expect(metrics).toContain('millrace_process_desired_instances{process="queue-default"} 3');
    await supervisor.scale("queue-default", 2).done;
    expect(await (await call("GET", "/metrics")).text()).not.toContain("queue-default-3");
    const all = await (await call("GET", "/api/v1/processes")).text();
    expect(all).not.toContain("hunter2-secret");
  });

  test("a schedule is listed with its next run, fired by hand, paused and resumed", async () => {
    const { supervisor, call } = await start();
    const path = "/api/v1/processes/nightly/schedule";
    const listed = (await (await call("GET", "/api/v1/schedules")).json()) as {
      schedules: Array<{ process: string; nextRunAt: string }>;
    };
    expect(listed.schedules.map(({ process }) => process)).toEqual(["nightly"]);
    const next = new Date(listed.schedules[0]?.nextRunAt ?? "");
    const hour = new Intl.DateTimeFormat("en-GB", {
      hour: "2-digit",
      timeZone: "Europe/Copenhagen",
    });
    expect(hour.format(next)).toBe("03");
    expect(await (await call("POST", `${path}/pause`)).json()).toMatchObject({
      state: "paused",
      nextRunAt: null,
    });
    const fired = await call("POST", `${path}/trigger`);
    expect(fired.status).toBe(202);
    const { run } = (await fired.json()) as { run: { id: string } };
    await waitFor(() => supervisor.scheduleHistory("nightly").at(-1)?.outcome === "succeeded");
    const history = (await (await call("GET", `${path}/history`)).json()) as { history: object[] };
    expect(history.history).toMatchObject([{ id: run.id, trigger: "manual", exitCode: 0 }]);
    expect(await (await call("POST", `${path}/resume`)).json()).toMatchObject({
      state: "idle",
      nextRunAt: next.toISOString(),
    });
    const runs = (await (await call("GET", "/api/v1/processes/nightly/runs")).json()) as {
      runs: object[];
    };
    expect(runs.runs).toMatchObject([{ instance: "nightly-1", code: 0, signal: null }]);
  });

  test("an operation is cancelled where it is", async () => {
    const { supervisor, call } = await start();
    const path = "/api/v1/processes/queue-default/scale";
    const accepted = await call("POST", path, { desired: 10, step: 1, delayMs: 3_600_000 });
    const { operation } = (await accepted.json()) as { operation: string };
    await waitFor(() => supervisor.process("queue-default").scale === 4);
    const cancelled = await call("POST", `/api/v1/operations/${operation}/cancel`);
    expect(await cancelled.json()).toMatchObject({ id: operation, state: "cancelled" });
    expect(supervisor.process("queue-default").scale).toBe(4);
  });

  test("events stream live and continue after the last one seen", async () => {
    const { supervisor, call } = await start();
    const read = async (lastId: string | undefined, until: string): Promise<string> => {
      const abort = new AbortController();
      const response = await fetch(`${supervisor.status().apiUrl}/api/v1/events`, {
        headers: {
          Authorization: `Bearer ${TOKEN}`,
          ...(lastId === undefined ? {} : { "Last-Event-ID": lastId }),
        },
        signal: abort.signal,
      });
      let text = "";
      const decoder = new TextDecoder();
      for await (const chunk of response.body ?? []) {
        text += decoder.decode(chunk as Uint8Array);
        if (text.includes(until)) break;
      }
      abort.abort();
      return text;
    };
    const live = read(undefined, "process:scaled");
    await waitFor(async () => (await call("GET", "/api/v1/health")).ok);
    const poll = setInterval(() => {
      const { desired } = supervisor.process("queue-default");
      supervisor.scale("queue-default", desired === 3 ? 4 : 3);
    }, 50);
    await live;
    clearInterval(poll);
    const replay = await read("0", "id: 3\n");
    expect(replay).toContain("id: 1\n");
    expect(await read("1", "id: 3\n")).not.toContain("id: 1\n");
  });

  test("requests over the rate are refused with 429 and when to come back", async () => {
    const { call } = await start({
      api: { port: 0, tokens: [TOKEN], requestsPerSecond: 1 },
    });
    const statuses: Array<number | string | null> = [];
    for (let index = 0; index < 4; index++) {
      const response = await call("GET", "/api/v1/health");
      statuses.push(response.status, response.headers.get("retry-after"));
    }
    expect(statuses).toEqual([200, null, 200, null, 429, "1", 429, "1"]);
  });

  test("without tokens a web page cannot reach it, and only loopback is served", async () => {
    const { supervisor } = await start({ api: { port: 0 } });
    const url = `${supervisor.status().apiUrl}/api/v1/processes`;
    expect((await fetch(url)).status).toBe(200);
    expect((await fetch(url, { headers: { Origin: "https://evil.example" } })).status).toBe(403);
    const open = createSupervisor({ processes: {}, api: { port: 0, host: "0.0.0.0" } });
    await expect(open.start()).rejects.toMatchObject({ code: "SUPERVISOR_API_UNPROTECTED" });
  });

  test("neither a path nor a whole address can pass for a local host, and a body has no end", async () => {
    const { supervisor } = await start({ api: { port: 0, maxBodyBytes: 1_000 } });
    const { port } = new URL(supervisor.status().apiUrl ?? "");
    const send = (path: string, options: RequestOptions, chunks: string[] = []): Promise<number> =>
      new Promise((resolve, reject) => {
        const request = httpRequest({ port, host: "127.0.0.1", path, ...options }, (response) => {
          response.resume();
          resolve(response.statusCode ?? 0);
        }).on("error", reject);
        for (const chunk of chunks) request.write(chunk);
        request.end();
      });
    const path = "/api/v1/processes";
    const foreign = { headers: { Host: "evil.example" } };
    expect(await send(path, {})).toBe(200);
    expect(await send(path, { method: "HEAD" })).toBe(200);
    expect(await send(path, foreign)).toBe(403);
    expect(await send(`//localhost${path}`, foreign)).toBe(403);
    expect(await send(`http://localhost${path}`, foreign)).toBe(403);
    expect(await send(path, { headers: { Host: "[" } })).toBe(400);
    expect(await send(path, { method: "DELETE" })).toBe(404);
    expect(await send("/api/v1/processes/%zz", {})).toBe(404);
    const scale = `${path}/queue-default/scale`;
    const many = Array.from({ length: 20 }, () => " ".repeat(100));
    expect(await send(scale, { method: "POST" }, many)).toBe(413);
    expect(await send(scale, { method: "POST" }, ['{"desi', 'red": 2}'])).toBe(202);
  });

  test("a Unix socket is for its owner alone", async () => {
    const socketPath = join(temporaryFolder(), "api.sock");
    await start({ api: { socket: socketPath } }).catch(() => {});
    expect(statSync(socketPath).mode & 0o777).toBe(0o600);
    const status = await new Promise((resolve, reject) => {
      httpRequest({ socketPath, path: "/api/v1/health" }, (response) => {
        response.resume();
        resolve(response.statusCode);
      })
        .on("error", reject)
        .end();
    });
    expect(status).toBe(200);
  });

  test("the fetch handler can be mounted anywhere", async () => {
    const { supervisor } = await start();
    const request = new Request("http://localhost/api/v1/processes", {
      headers: { Authorization: `Bearer ${TOKEN}` },
    });
    expect((await supervisor.fetch(request)).status).toBe(200);
    const url = "http://localhost/api/v1/processes/queue-default/scale";
    const scale = (body: string): Promise<Response> =>
      supervisor.fetch(
        new Request(url, {
          method: "POST",
          headers: { Authorization: `Bearer ${TOKEN}` },
          body,
        }),
      );
    expect((await scale('{"desired": 2}')).status).toBe(202);
    expect((await scale(" ".repeat(70_000))).status).toBe(413);
  });

  test("the OpenAPI document describes every route and its errors", async () => {
    const { call } = await start();
    const document = (await (await call("GET", "/api/v1/openapi.json")).json()) as {
      openapi: string;
      paths: Record<string, Record<string, { responses: object; operationId: string }>>;
    };
    expect(document.openapi).toBe("3.1.0");
    const described = Object.entries(document.paths).flatMap(([path, methods]) =>
      Object.keys(methods).map((method) => `${method} ${path}`),
    );
    expect(described.toSorted()).toEqual(
      API_ROUTES.map(({ method, path }) => `${method} ${path}`).toSorted(),
    );
    const ids = Object.values(document.paths).flatMap((methods) =>
      Object.values(methods).map(({ operationId }) => operationId),
    );
    expect(new Set(ids).size).toBe(ids.length);
  });
});
