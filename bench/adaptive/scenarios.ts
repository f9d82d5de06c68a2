import { execFileSync } from "node:child_process";
import { cpus } from "node:os";
import type { PostgresService } from "@millrace/services";
import { type MeasuredProcess, startMeasuredProcess } from "../process/measured-process.ts";
import type { DelayProxyCalls } from "./delay-proxy.ts";
import type { ForeignLoadCalls } from "./foreign-load.ts";

const DELAY_MS = 5;

/** Circumstances that a pool is measured in. */
export interface Scenario {
  name: string;
  /** What the pool connects to for a database of the service. */
  reach(databaseUrl: string): string;
  /** Queries of another application on the same server. */
  foreign: MeasuredProcess<ForeignLoadCalls> | undefined;
  end(): Promise<void>;
}

/** One after the other: what one changes is undone before the next. */
export async function* scenarios(service: PostgresService): AsyncGenerator<Scenario> {
  const here = { reach: (url: string) => url, foreign: undefined };
  yield { ...here, name: "local", end: async () => {} };
  yield await delayed(service);
  pin(service, "0");
  yield { ...here, name: "one CPU", end: async () => pin(service, `0-${cpus().length - 1}`) };
  yield await shared(service);
}

async function delayed(service: PostgresService): Promise<Scenario> {
  const proxy = startMeasuredProcess<DelayProxyCalls>(new URL("delay-proxy.ts", import.meta.url));
  const port = await proxy.call("listen", {
    port: Number(new URL(service.url).port),
    delayMs: DELAY_MS,
  });
  return {
    name: `+${DELAY_MS} ms`,
    foreign: undefined,
    reach(databaseUrl) {
      const url = new URL(databaseUrl);
      url.hostname = "127.0.0.1";
      url.port = String(port);
      return url.href;
    },
    end: () => proxy.close(),
  };
}

async function shared(service: PostgresService): Promise<Scenario> {
  const foreign = startMeasuredProcess<ForeignLoadCalls>(
    new URL("foreign-load.ts", import.meta.url),
  );
  await foreign.call("start", { databaseUrl: await service.createDatabase() });
  return {
    name: "shared",
    reach: (url) => url,
    foreign,
    async end() {
      await foreign.call("stop");
      await foreign.close();
    },
  };
}

/** Backends are started by the postmaster, and stay where it is. */
function pin({ pid }: PostgresService, list: string): void {
  const children = execFileSync("pgrep", ["-P", String(pid)], { encoding: "utf8" }).trim();
  for (const process of [String(pid), ...children.split("\n")]) {
    execFileSync("taskset", ["--all-tasks", "--cpu-list", "--pid", list, process], {
      stdio: "ignore",
    });
  }
}
