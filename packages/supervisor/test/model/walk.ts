import { waitFor } from "@millrace/core/testing";
import type { Supervisor } from "@millrace/supervisor";
import fc from "fast-check";
import { expect } from "vitest";
import { canMove } from "../../src/process/instance-state.ts";
import { listPids, readEnvironment, readProcStat } from "../../src/process/proc-stat.ts";
import { startSupervisor } from "../fixtures/start-supervisor.ts";

/** Scale that steps go up to. */
const MAX = 6;

/** What a process ought to look like after the operations so far. */
export interface Model {
  desired: number;
  active: number;
}

/** What it is. */
export interface Real {
  supervisor: Supervisor;
  mark: string;
  illegal: string[];
}

/** Leaders of groups that were started with this mark. */
export function livePids(mark: string): number[] {
  return listPids().filter((pid) => {
    const stat = readProcStat(pid);
    return (
      stat?.groupId === pid && stat.state !== "Z" && readEnvironment(pid).get("MODEL") === mark
    );
  });
}

async function check(model: Model, { supervisor, mark, illegal }: Real): Promise<void> {
  const status = () => supervisor.process("worker");
  await waitFor(() => status().counts.ready === model.active && status().scale === model.active);
  const known = status().instances.flatMap(({ pid }) => (pid === null ? [] : [pid]));
  await waitFor(() => livePids(mark).length === known.length);
  expect(new Set(livePids(mark))).toEqual(new Set(known));
  expect(new Set(status().instances.map(({ number }) => number)).size).toBe(
    status().instances.length,
  );
  expect(status().desired).toBe(model.desired);
  expect(illegal).toEqual([]);
}

abstract class Step implements fc.AsyncCommand<Model, Real> {
  check(_model: Readonly<Model>): boolean {
    return true;
  }
  protected abstract act(model: Model, supervisor: Supervisor): Promise<unknown>;
  abstract toString(): string;
  async run(model: Model, real: Real): Promise<void> {
    await this.act(model, real.supervisor);
    await check(model, real);
  }
}

class Scale extends Step {
  readonly to: number;
  constructor(to: number) {
    super();
    this.to = to;
  }
  act(model: Model, supervisor: Supervisor): Promise<unknown> {
    model.desired = this.to;
    model.active = this.to;
    return supervisor.scale("worker", this.to).done;
  }
  override toString = (): string => `scale ${this.to}`;
}

class StopAll extends Step {
  act(model: Model, supervisor: Supervisor): Promise<unknown> {
    model.active = 0;
    return supervisor.stopProcess("worker").done;
  }
  override toString = (): string => "stop";
}

class StartAll extends Step {
  override check(model: Readonly<Model>): boolean {
    return model.desired > 0;
  }
  act(model: Model, supervisor: Supervisor): Promise<unknown> {
    model.active = model.desired;
    return supervisor.startProcess("worker").done;
  }
  override toString = (): string => "start";
}

class Replace extends Step {
  readonly how: "restart" | "rollout";
  constructor(how: "restart" | "rollout") {
    super();
    this.how = how;
  }
  override check(model: Readonly<Model>): boolean {
    return model.active > 0;
  }
  async act(_model: Model, supervisor: Supervisor): Promise<void> {
    const { state, error } = await supervisor[this.how]("worker").done;
    if (state !== "succeeded") throw new Error(`${this.how} ${state}: ${error?.message}`);
  }
  override toString = (): string => this.how;
}

/** Steps on one of the instances that run. */
class OnOne extends Step {
  readonly pick: number;
  readonly how: "kill" | "stop" | "restart" | "stop and start";
  constructor(pick: number, how: OnOne["how"]) {
    super();
    this.pick = pick;
    this.how = how;
  }
  override check(model: Readonly<Model>): boolean {
    return model.active > 0;
  }
  async act(model: Model, supervisor: Supervisor): Promise<void> {
    const running = supervisor.process("worker").instances.filter(({ pid }) => pid !== null);
    const one = running[this.pick % running.length];
    if (one === undefined) throw new Error("nothing runs");
    if (this.how === "kill") {
      process.kill(Number(one.pid), "SIGKILL");
      await waitFor(() =>
        supervisor.process("worker").instances.every(({ pid }) => pid !== one.pid),
      );
    } else if (this.how === "restart") await supervisor.restart(one.name).done;
    else {
      await supervisor.stopProcess(one.name).done;
      if (this.how === "stop") model.active--;
      else await supervisor.startProcess(one.name).done;
    }
  }
  override toString = (): string => `${this.how} ${this.pick}`;
}

/** Every step that a walk may take. */
export const modelSteps = [
  fc.integer({ min: 0, max: MAX }).map((to) => new Scale(to)),
  fc.constant(new StopAll()),
  fc.constant(new StartAll()),
  fc.constantFrom("restart" as const, "rollout" as const).map((how) => new Replace(how)),
  fc
    .tuple(fc.nat(), fc.constantFrom("kill", "stop", "restart", "stop and start"))
    .map(([pick, how]) => new OnOne(pick, how)),
];

/** A supervisor of two instances, and the model of it. */
export async function beginWalk(mark: string): Promise<{ model: Model; real: Real }> {
  const illegal: string[] = [];
  const supervisor = await startSupervisor({
    processes: {
      worker: {
        command: ["sleep", "1000"],
        scale: 2,
        maxScale: MAX,
        env: { MODEL: mark },
        backoff: { baseMs: 1, capMs: 5, minUptimeMs: 0 },
      },
    },
  });
  supervisor.on("instance:changed", ({ instance, from, to }) => {
    if (!canMove(from, to)) illegal.push(`${instance}: ${from} -> ${to}`);
  });
  return { model: { desired: 2, active: 2 }, real: { supervisor, mark, illegal } };
}
