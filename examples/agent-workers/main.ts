import { randomBytes } from "node:crypto";
import { once } from "node:events";
import { CloserStack, messageOf } from "@millrace/core";
import { freePort, startPostgres, startRedis } from "@millrace/services";
import pino from "pino";
import { createPlatform, type PlatformConfig } from "./platform.ts";
import { type Started, startProcess, stopProcess } from "./processes.ts";
import { runScriptedCampaign } from "./scripted-campaign.ts";
import { Store } from "./store.ts";

const MAX_WORKERS = 3;
/** Seven roles with four tasks each. */
const TASKS_PER_WORKER = 28;

const isOnce = process.argv.includes("--once");
const closers = new CloserStack();
try {
  process.exitCode = await run();
} catch (error) {
  console.error(messageOf(error));
  process.exitCode = 1;
} finally {
  await closers.close();
}

/** @returns the exit code. */
async function run(): Promise<number> {
  const redis = await startRedis();
  closers.push(() => redis.remove());
  const postgres = await startPostgres();
  closers.push(() => postgres.remove());
  const store = new Store(postgres.url);
  closers.push(() => store.close());
  await store.migrate();
  await store.purge();

  const secret = randomBytes(32).toString("base64url");
  const llm = await startProcess<{ port: number }>("llm-server.ts", { AGENT_SECRET: secret });
  closers.push(() => stopProcess(llm));
  const ports = [await freePort(), await freePort()];
  const config: PlatformConfig = {
    redisUrl: redis.url,
    postgresUrl: postgres.url,
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
  closers.push(await scaleWorkers(env, urls[0] ?? ""));

  const platform = createPlatform(config, pino({ level: "warn" }, pino.destination(2)));
  closers.push(() => platform.redis.disconnect());
  for (const component of platform.components) {
    await component.start();
    closers.push(() => component.close());
  }
  if (isOnce) {
    const complaints = await runScriptedCampaign(platform, store, urls, closers);
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

/** Keeps as many worker processes as the admissible backlog asks for. @returns what ends them. */
async function scaleWorkers(
  env: Record<string, string>,
  api: string,
): Promise<() => Promise<void>> {
  const workers: Array<Started<unknown>> = [await startProcess("worker-process.ts", env)];
  const scale = async () => {
    const { tasks } = (await (await fetch(`${api}/desired-workers`)).json()) as { tasks: number };
    const wanted = Math.min(MAX_WORKERS, Math.max(1, Math.ceil(tasks / TASKS_PER_WORKER)));
    while (workers.length < wanted) workers.push(await startProcess("worker-process.ts", env));
    while (workers.length > wanted) {
      const last = workers.pop();
      if (last) await stopProcess(last);
    }
  };
  let scaling: Promise<unknown> = Promise.resolve();
  const timer = setInterval(() => {
    scaling = scaling.then(scale).catch((error: unknown) => console.error(messageOf(error)));
  }, 1_000);
  return async () => {
    clearInterval(timer);
    await scaling;
    await Promise.all(workers.map((worker) => stopProcess(worker)));
  };
}
