import { createServer } from "node:net";
import { once } from "node:events";
import type { AddressInfo } from "node:net";
import { Registry } from "prom-client";
import { expect, onTestFinished, test } from "vitest";
import { createPressure } from "../../src/pressure.ts";
import { publishMetric } from "../../src/metrics.ts";
import { createOpsServer } from "../../src/ops/ops-server.ts";
import type { OpsServerOptions } from "../../src/ops/ops-options.ts";
import { createMemoryLogger } from "../../src/testing.ts";

async function startOps(options: Partial<OpsServerOptions> = {}) {
  const logger = createMemoryLogger();
  const metrics = new Registry();
  const ops = createOpsServer({ components: [], port: 0, logger, metrics, ...options });
  onTestFinished(() => ops.close());
  await ops.start();
  const get = (path: string) => fetch(`http://127.0.0.1:${ops.address()?.port}${path}`);
  return { ops, get, logger, metrics };
}

function controlledPressure() {
  const values = { load: 0 };
  const pressure = createPressure({
    sources: [{ name: "load", utilisation: () => values.load }],
    logger: createMemoryLogger(),
    metrics: new Registry(),
  });
  onTestFinished(() => pressure.close());
  return { pressure, values };
}

test("/healthz and /readyz follow the components", async () => {
  const { pressure, values } = controlledPressure();
  const { get } = await startOps({ components: [pressure] });
  expect((await get("/healthz")).status).toBe(200);
  const notStarted = await get("/readyz");
  expect(notStarted.status).toBe(503);
  expect(await notStarted.json()).toMatchObject({ healthy: false, reason: "pressure is idle" });

  await pressure.start();
  const ready = await get("/readyz");
  expect(ready.status).toBe(200);
  expect(await ready.json()).toEqual({
    healthy: true,
    components: [{ name: "pressure", state: "running", healthy: true }],
  });

  values.load = 1;
  pressure.sample();
  for (const path of ["/healthz", "/readyz"]) {
    const sick = await get(path);
    expect(sick.status).toBe(503);
    expect(await sick.json()).toMatchObject({
      healthy: false,
      reason: expect.stringContaining("pressure is closed"),
    });
  }
});

test("/metrics shows the registry in Prometheus's text format", async () => {
  const { get, metrics } = await startOps();
  publishMetric(metrics, { type: "gauge", name: "rows", help: "Rows." }, () => 3);
  const page = await get("/metrics");
  expect(page.headers.get("content-type")).toContain("text/plain");
  expect(await page.text()).toBe("# HELP rows Rows.\n# TYPE rows gauge\nrows 3\n");
});

test("a metric that cannot be read fails its page and is logged, and the server goes on", async () => {
  const { get, metrics, logger } = await startOps();
  publishMetric(metrics, { type: "gauge", name: "rows", help: "Rows." }, () => {
    throw new Error("no such table");
  });
  const page = await get("/metrics");
  expect(page.status).toBe(500);
  expect(await page.text()).toContain("no such table");
  expect(logger.lines).toMatchObject([{ level: "error" }]);
  expect((await get("/healthz")).status).toBe(200);
});

test("an unknown page is 404", async () => {
  const { get } = await startOps();
  expect((await get("/nothing")).status).toBe(404);
});

test("HEAD is answered without a body, a query does not matter, and nothing is taken by POST", async () => {
  const { ops, get } = await startOps();
  expect((await get("/healthz?verbose")).status).toBe(200);
  const url = `http://127.0.0.1:${ops.address()?.port}/healthz`;
  const head = await fetch(url, { method: "HEAD" });
  expect([head.status, await head.text()]).toEqual([200, ""]);
  expect((await fetch(url, { method: "POST", body: "{}" })).status).toBe(404);
});

test("a port in use fails the start with OPS_LISTEN_FAILED", async () => {
  const occupant = createServer().listen(0, "127.0.0.1");
  onTestFinished(() => void occupant.close());
  await once(occupant, "listening");
  const { port } = occupant.address() as AddressInfo;
  const ops = createOpsServer({ components: [], port, logger: createMemoryLogger() });
  await expect(ops.start()).rejects.toMatchObject({
    code: "OPS_LISTEN_FAILED",
    message: expect.stringContaining(`127.0.0.1:${port}`),
    details: { host: "127.0.0.1", port },
  });
  expect(ops.state).toBe("failed");
  expect(ops.address()).toBeUndefined();
});

test("it says where it listens while it does, and close ends kept connections", async () => {
  const { ops, get } = await startOps();
  const address = ops.address();
  expect(address).toMatchObject({ host: "127.0.0.1", port: expect.any(Number) });
  await (await get("/healthz")).text();
  await ops.close();
  await ops.close();
  expect(ops.address()).toBeUndefined();
  await expect(fetch(`http://127.0.0.1:${address?.port}/healthz`)).rejects.toThrow("fetch failed");
});

test("the pages work inside another server too", async () => {
  const ops = createOpsServer({ components: [], metrics: new Registry() });
  const response = await ops.fetch(new Request("http://any.example/healthz"));
  expect(response.status).toBe(200);
  expect(await response.json()).toEqual({ healthy: true, components: [] });
});
