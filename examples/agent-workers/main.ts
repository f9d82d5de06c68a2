import { randomBytes } from "node:crypto";
import { once } from "node:events";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { CloserStack, messageOf } from "@millrace/core";
import { freePort, startPostgres, startRedis } from "@millrace/services";
import { createSupervisor, metric, type Supervisor } from "@millrace/supervisor";
import pino from "pino";
import { createLanding } from "./landing.ts";
import { createPlatform, type Platform, type PlatformConfig } from "./platform.ts";
import { startProcess, stopProcess } from "./processes.ts";
import { runScriptedCampaign } from "./scripted-campaign.ts";

const MAX_WORKERS = 3;
/** A process could run four of each role; fewer keep the example's tasks waiting. */
const TASKS_PER_WORKER = 6;

const logger = pino({ level: "warn" }, pino.destination(2));
const USAGE = `npm start --workspace example-agent-workers [-- --once]

Starts Redis, PostgreSQL, a stand-in for a provider, two API processes and the workers, and serves until Ctrl-C.
  --once   runs a scripted campaign for three tenants, checks what came of it, and ends`;
const closers = new CloserStack();
try {
  const { once: isOnce, help } = parseArgs({
    options: { once: { type: "boolean" }, help: { type: "boolean" } },
  }).values;
  if (help) console.log(USAGE);
  else process.exitCode = await run(isOnce ?? false);
} catch (error) {
  console.error(messageOf(error));
  process.exitCode = 1;
} finally {
  await closers.close();
}

/** @returns the exit code. */
async function run(isOnce: boolean): Promise<number> {
  const redis = await startRedis();
  closers.push(() => redis.remove());
  const postgres = await startPostgres();
  closers.push(() => postgres.remove());
  const secret = randomBytes(32).toString("base64url");
  const folder = await mkdtemp(join(tmpdir(), "agent-workers-"));
  closers.push(() => rm(folder, { recursive: true }));
  const landing = createLanding({ folder, postgresUrl: postgres.url, token: secret, logger });
  for (const component of landing.components) {
    await component.start();
    closers.push(() => component.close());
  }
  const llm = await startProcess<{ port: number }>("llm-server.ts", { AGENT_SECRET: secret });
  closers.push(() => stopProcess(llm));
  const ports = [await freePort(), await freePort()];
  const config: PlatformConfig = {
    redisUrl: redis.url,
    recordsPort: landing.ingest.address().port,
    llmUrl: `http://127.0.0.1:${llm.message.port}`,
    publicUrl: `http://127.0.0.1:${ports[0]}`,
    secret,
  };
  const env = { AGENT_PLATFORM: JSON.stringify(config) };
  const apis = await Promise.all(
    ports.map((port) =>
      startProcess<{ url: string }>("api-server.ts", { ...env, PORT: String(port) }),
    ),
  );
  for (const api of apis) closers.push(() => stopProcess(api));
  const urls = apis.map(({ message }) => message.url);

  const platform = createPlatform(config, logger);
  closers.push(() => platform.redis.disconnect());
  for (const component of platform.components) {
    await component.start();
    closers.push(() => component.close());
  }
  const supervisor = superviseWorkers(env, platform);
  await supervisor.start();
  closers.push(() => supervisor.close());
  await supervisor.whenReady("worker");
  if (isOnce) {
    const complaints = await runScriptedCampaign({
      platform,
      apis: urls,
      closers,
      database: postgres.url,
      hasLanded: () => landing.buffer.status().rows === 0,
      highestScale: () => Math.max(1, ...supervisor.decisions().map(({ desired }) => desired)),
    });
    return complaints.length === 0 ? 0 : 1;
  }
  await platform.tenants.set("demo", { plan: "agency" });
  console.log(`API         ${urls.join("  ")}`);
  console.log(`Dashboard   ${urls[0]}/admin/queues`);
  console.log(`Events      curl -N ${urls[1]}/tenants/demo/events`);
  console.log(
    `Campaign    curl ${urls[0]}/campaigns -H 'content-type: application/json' -d '{"tenantId":"demo","brief":"mills","roles":["copywriter","data-analyst"]}'`,
  );
  await Promise.race([once(process, "SIGINT"), once(process, "SIGTERM")]);
  return 0;
}

/** Keeps as many worker processes as the admissible backlog asks for. */
function superviseWorkers(env: Record<string, string>, platform: Platform): Supervisor {
  const tasks = async () => {
    const wanted = await Promise.all(
      [...platform.queues.values()].map((queue) => queue.desiredWorkers({ concurrency: 1 })),
    );
    return wanted.reduce((sum, one) => sum + one, 0);
  };
  return createSupervisor({
    logger,
    processes: {
      worker: {
        module: new URL("./worker-process.ts", import.meta.url),
        env,
        scale: 1,
        minScale: 1,
        maxScale: MAX_WORKERS,
        health: { readiness: { type: "ipc" } },
        autoscale: {
          inputs: [metric(tasks, { targetPerInstance: TASKS_PER_WORKER, name: "desired workers" })],
          intervalMs: 250,
          down: { stabilizationMs: 5_000 },
        },
      },
    },
  });
}
