import { expect, test } from "vitest";
import { canMove } from "../../src/process/instance-state.ts";
import { Random } from "./random.ts";
import { simulate } from "./simulate.ts";

const STEPS = 10_000;
const MAX_SCALE = 6;
const PATIENCE_MS = 600_000;

test("a walk of ten thousand operations, kills and exits never leaves the model", async () => {
  const seed = Math.floor(Math.random() * 2 ** 31);
  const random = new Random(seed);
  const simulation = await simulate({ scale: 2, maxScale: MAX_SCALE, restart: "always" }, seed);
  const { host, supervisor } = simulation;
  const illegal: string[] = [];
  supervisor.on("instance:changed", ({ instance, from, to, reason }) => {
    if (!canMove(from, to) || reason === "")
      illegal.push(`${instance}: ${from} -> ${to} ${reason}`);
  });
  const model = { desired: 2, active: 2 };
  const status = () => supervisor.process("worker");
  const one = (state: "ready" | "stopped") =>
    random.pick([undefined, ...status().instances.filter((instance) => instance.state === state)]);
  const steps: Record<string, () => { id: string } | undefined> = {
    scale: () => {
      model.desired = random.between(0, MAX_SCALE);
      model.active = model.desired;
      return supervisor.scale("worker", model.desired);
    },
    stop: () => {
      model.active = 0;
      return supervisor.stopProcess("worker");
    },
    start: () => {
      if (model.desired === 0) return undefined;
      model.active = model.desired;
      return supervisor.startProcess("worker");
    },
    restart: () => (model.active === 0 ? undefined : supervisor.restart("worker")),
    rollout: () => (model.active === 0 ? undefined : supervisor.rollout("worker")),
    "stop one": () => {
      const instance = one("ready");
      if (instance === undefined) return undefined;
      model.active--;
      return supervisor.stopProcess(instance.name);
    },
    "start one": () => {
      const instance = one("stopped");
      if (instance === undefined) return undefined;
      model.active++;
      return supervisor.startProcess(instance.name);
    },
    "restart one": () => {
      const instance = one("ready");
      return instance && supervisor.restart(instance.name);
    },
    kill: () => {
      host.running[random.between(0, MAX_SCALE)]?.signal("SIGKILL");
      return undefined;
    },
    exit: () => {
      host.running[random.between(0, MAX_SCALE)]?.end({ code: random.between(0, 2), signal: null });
      return undefined;
    },
  };
  const names = Object.keys(steps);
  const taken: string[] = [];
  for (let step = 0; step < STEPS; step++) {
    const name = names[random.between(0, names.length - 1)] ?? "scale";
    taken.push(name);
    const operation = steps[name]?.();
    await host.clock.advance(random.pick([0, 1, 100]));
    const story = `step ${step} of seed ${seed}, after ${taken.slice(-10).join(", ")}`;
    const isAsModelled = (): boolean => {
      const { counts, scale, desired, instances } = status();
      const known = new Set(instances.flatMap(({ pid }) => pid ?? []));
      const running = host.running.map(({ pid }) => pid ?? 0);
      return (
        counts.ready === model.active &&
        scale === model.active &&
        desired === model.desired &&
        new Set(instances.map(({ number }) => number)).size === instances.length &&
        running.length === known.size &&
        running.every((pid) => known.has(pid))
      );
    };
    const settled = await host.clock.advanceUntil(isAsModelled, PATIENCE_MS);
    expect(settled ? [] : [story, model, status()]).toEqual([]);
    if (operation !== undefined) {
      const isOver = (): boolean =>
        supervisor.operation(operation.id).status().endedAt !== undefined;
      await host.clock.advanceUntil(isOver, PATIENCE_MS, 1);
      expect([story, supervisor.operation(operation.id).status().state]).toEqual([
        story,
        "succeeded",
      ]);
    }
    expect(illegal).toEqual([]);
  }
  expect(await simulation.close()).toEqual([]);
}, 60_000);
