import type { TenantLimits } from "../gate/tenant-limits.ts";
import type { PriorityClass } from "./class-turns.ts";
import type { GateTask } from "./task-record.ts";

/** What {@link TenantLimits} carries; -1 where nothing limits. */
interface LimitFields {
  cap: number;
  weight: number;
  enabled: number;
  maxStaged: number;
  quota: number;
  ratePerMs: number;
  rateBurst: number;
}

/** One tenant's line, slots and limits. */
export class GateTenant {
  readonly tenantId: string;
  /** Ids that hold a slot. */
  readonly held = new Set<string>();
  /** Tasks counted, by month. */
  readonly counts = new Map<string, number>();
  readonly virtualTimes: Record<PriorityClass, number> = { 1: 0, 5: 0, 10: 0 };
  isPaused = false;
  readonly #line: GateTask[] = [];
  #version: number | undefined;
  #limits: LimitFields = {
    cap: 1,
    weight: 1,
    enabled: 1,
    maxStaged: -1,
    quota: -1,
    ratePerMs: -1,
    rateBurst: -1,
  };
  #rate: { value: number; at: number } | undefined;

  constructor(tenantId: string) {
    this.tenantId = tenantId;
  }

  get cap() {
    return this.#limits.cap;
  }

  get weight() {
    return this.#limits.weight;
  }

  get isEnabled() {
    return this.#limits.enabled !== 0;
  }

  get staged(): number {
    return this.#line.length;
  }

  get head(): GateTask | undefined {
    return this.#line[0];
  }

  /** Takes limits over unless newer ones are here. */
  configure(limits: TenantLimits | undefined): void {
    if (!limits || (this.#version !== undefined && this.#version >= limits.version)) return;
    this.#version = limits.version;
    this.#limits = { ...this.#limits, ...(JSON.parse(limits.json) as Partial<LimitFields>) };
  }

  /** Why one more task may not be staged; counts it against the month when it may. */
  refuse(
    month: string | undefined,
  ): "tenant-disabled" | "staged-full" | "quota-exceeded" | undefined {
    const { maxStaged, quota } = this.#limits;
    if (!this.isEnabled) return "tenant-disabled";
    if (maxStaged > 0 && this.staged >= maxStaged) return "staged-full";
    if (month === undefined) return undefined;
    const count = this.counts.get(month) ?? 0;
    if (quota >= 0 && count >= quota) return "quota-exceeded";
    this.counts.set(month, count + 1);
    return undefined;
  }

  /** Puts a task at its place. */
  enter(task: GateTask): void {
    const place = task.place ?? 0;
    let index = this.#line.length;
    while (index > 0 && (this.#line[index - 1]?.place ?? 0) > place) index--;
    this.#line.splice(index, 0, task);
  }

  has(task: GateTask): boolean {
    return this.#line.includes(task);
  }

  leave(task: GateTask): void {
    const index = this.#line.indexOf(task);
    if (index >= 0) this.#line.splice(index, 1);
  }

  takeHead(): GateTask | undefined {
    return this.#line.shift();
  }

  /** How long until the rate allows one more start, in milliseconds. */
  rateWaitMs(now: number): number {
    const value = this.#rateValue(now);
    if (value === undefined || value >= 1) return 0;
    return Math.ceil((1 - value) / this.#limits.ratePerMs);
  }

  countStart(now: number): void {
    const value = this.#rateValue(now);
    if (value !== undefined) this.#rate = { value: value - 1, at: now };
  }

  #rateValue(now: number): number | undefined {
    const { ratePerMs, rateBurst } = this.#limits;
    if (ratePerMs <= 0) return undefined;
    const { value, at } = this.#rate ?? { value: rateBurst, at: now };
    return Math.min(rateBurst, value + Math.max(0, now - at) * ratePerMs);
  }
}
