import { rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { waitFor } from "@millrace/core/testing";
import { describe, expect, test } from "vitest";
import { execArgv, fixture, nodeCommand } from "../fixtures/fixture.ts";
import { freePorts } from "../fixtures/free-ports.ts";
import { pidsOf, startSupervisor } from "../fixtures/start-supervisor.ts";
import { temporaryFolder } from "../fixtures/temporary-folder.ts";

describe("health", () => {
  test("only the one sick instance of five is restarted, by its own port", async () => {
    const base = (await freePorts(5)) - 1;
    const supervisor = await startSupervisor({
      processes: {
        web: {
          command: nodeCommand("naive-http-server.ts", "${PORT}"),
          ports: { base },
          scale: 5,
          backoff: { minUptimeMs: 0 },
          stop: { timeoutMs: 500 },
          health: {
            readiness: { type: "tcp", port: "${PORT}" },
            liveness: {
              type: "http",
              path: "/",
              intervalMs: 50,
              failureThreshold: 2,
              initialDelayMs: 1_000,
            },
          },
        },
      },
    });
    await supervisor.whenReady();
    const before = pidsOf(supervisor, "web");
    await fetch(`http://127.0.0.1:${base + 2}/sick`);
    await waitFor(() => {
      const { instances } = supervisor.process("web");
      return instances[1]?.state === "ready" && instances[1].pid !== before["web-2"];
    });
    const { "web-2": _, ...others } = before;
    expect(pidsOf(supervisor, "web")).toMatchObject(others);
    expect(supervisor.process("web").instances.map(({ restarts }) => restarts)).toEqual([
      0, 1, 0, 0, 0,
    ]);
  });

  test("a failed readiness probe makes unhealthy and ready again, and restarts nothing", async () => {
    const mark = join(temporaryFolder(), "ready");
    writeFileSync(mark, "");
    const supervisor = await startSupervisor({
      processes: {
        worker: {
          command: ["sleep", "1000"],
          health: {
            readiness: {
              type: "exec",
              command: ["test", "-e", mark],
              intervalMs: 20,
              failureThreshold: 1,
            },
          },
        },
      },
    });
    await supervisor.whenReady();
    const before = pidsOf(supervisor, "worker");
    rmSync(mark);
    await waitFor(() => supervisor.process("worker").counts.unhealthy === 1);
    writeFileSync(mark, "");
    await waitFor(() => supervisor.process("worker").counts.ready === 1);
    expect(pidsOf(supervisor, "worker")).toEqual(before);
  });

  test("a child in a busy loop is found by its missing heartbeat, and its stack is kept", async () => {
    const supervisor = await startSupervisor({
      processes: {
        worker: {
          module: fixture("busy-loop.ts"),
          execArgv,
          health: {
            readiness: { type: "ipc" },
            liveness: { type: "ipc", timeoutMs: 1_000, intervalMs: 100 },
          },
        },
      },
    });
    let frames: readonly string[] = [];
    supervisor.on("stack:captured", (captured) => {
      frames = captured.frames;
    });
    await waitFor(() => supervisor.process("worker").instances[0]?.restarts === 1);
    expect(frames.join("\n")).toContain("spinsForever");
  });

  test("an instance over its soft memory limit is replaced, over the hard one killed", async () => {
    const supervisor = await startSupervisor({
      processes: {
        soft: { command: nodeCommand("leaks-memory.ts", "240"), memoryLimit: "180MB" },
        hard: {
          command: nodeCommand("leaks-memory.ts", "240"),
          memoryLimit: { hard: "180MB" },
          backoff: { baseMs: 60_000, capMs: 60_000 },
        },
      },
      sampleIntervalMs: 50,
    });
    const limits = new Set<string>();
    supervisor.on("memory:exceeded", ({ process, limit }) => limits.add(`${process} ${limit}`));
    await waitFor(() => limits.size === 2);
    await waitFor(() => (supervisor.process("hard").instances[0]?.restarts ?? 0) > 0);
    await waitFor(() => (supervisor.process("soft").instances[0]?.restarts ?? 0) > 0);
    expect([...limits].toSorted()).toEqual(["hard hard", "soft soft"]);
  });

  test("a limit counts the children of an instance; many over it go one at a time, the new one first", async () => {
    const mark = join(temporaryFolder(), "grown");
    const supervisor = await startSupervisor({
      sampleIntervalMs: 30,
      processes: {
        tree: {
          // The shell itself takes next to nothing, what it starts 80 MB, unless it is told not to.
          command: [
            "sh",
            "-c",
            'test "$MILLRACE_GENERATION" = 1 && test ! -e "$0" && "$@" & wait; exec sleep 1000',
            "${MARK}",
            ...nodeCommand("leaks-memory.ts", "80"),
          ],
          scale: 3,
          memoryLimit: "60MB",
          stop: { timeoutMs: 2_000 },
        },
      },
      env: { ...process.env, MARK: mark },
    });
    const counts: number[] = [];
    let over = 0;
    let replacing = 0;
    let most = 0;
    supervisor.on("memory:exceeded", () => {
      over++;
      most = Math.max(most, ++replacing);
    });
    supervisor.on("operation:changed", ({ kind, endedAt }) => {
      if (kind === "restart" && endedAt !== undefined) replacing--;
    });
    supervisor.on("instance:changed", () => {
      counts.push(supervisor.process("tree").counts.ready);
    });
    await supervisor.whenReady();
    counts.length = 0;
    await waitFor(() => over >= 3, { timeoutMs: 20_000 });
    writeFileSync(mark, "");
    expect(most).toBe(1);
    expect(Math.min(...counts)).toBeGreaterThanOrEqual(3);
  });

  test("an instance that leaks is replaced before it reaches its limit, the new one first", async () => {
    const supervisor = await startSupervisor({
      sampleIntervalMs: 30,
      processes: {
        leaky: {
          module: fixture("leaks-steadily.ts"),
          execArgv,
          health: { readiness: { type: "ipc" } },
          memoryLimit: { hard: "400MB", predictMs: 60_000 },
        },
      },
    });
    await supervisor.whenReady();
    const first = supervisor.process("leaky").instances[0]?.pid;
    const reached: Array<{ limit: string; residentBytes: number }> = [];
    supervisor.on("memory:exceeded", (event) => reached.push(event));
    let fewest = 1;
    supervisor.on("instance:changed", () => {
      fewest = Math.min(fewest, supervisor.process("leaky").counts.ready);
    });
    const isReplaced = (): boolean =>
      supervisor
        .process("leaky")
        .instances.some(({ pid, state }) => pid !== first && state === "ready");
    await waitFor(isReplaced, { timeoutMs: 20_000 });
    expect(reached[0]).toMatchObject({ limit: "predicted" });
    expect(reached[0]?.residentBytes).toBeLessThan(400e6);
    expect(fewest).toBe(1);
  });
});
