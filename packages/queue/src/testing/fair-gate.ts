import type { StageOutcome, TenantDepth } from "../gate/gate.ts";
import type { TenantLimits } from "../gate/tenant-limits.ts";
import { CLASSES, classOf, ClassTurns, type PriorityClass } from "./class-turns.ts";
import { GateTenant } from "./gate-tenant.ts";
import type { GateTask } from "./task-record.ts";

/** Tenants looked at in one go at most. */
const MAX_STEPS = 2_000;

/** What surrounds a gate. */
export interface GateSurroundings {
  now(): number;
  /** Admitted tasks that nobody has taken yet. */
  readyTasks(): number;
  /** Puts an admitted task in line for the workers. */
  admit(task: GateTask): void;
}

/**
 * The admission gate, the same rules as lua/gate.lua keeps in Redis: start-time fair queueing among the
 * tenants of a class, classes by their weights, a set of slots per tenant that never grows past its cap.
 */
export class FairGate {
  /** Tasks that may be admitted ahead of the workers; follows what these run at once. */
  window = 16;
  readonly turns = new ClassTurns();
  readonly #surroundings: GateSurroundings;
  readonly #tenants = new Map<string, GateTenant>();
  /** Tenants that may start one more, with their virtual times. */
  readonly #rings: Record<PriorityClass, Map<string, number>> = {
    1: new Map(),
    5: new Map(),
    10: new Map(),
  };
  readonly #clocks: Record<PriorityClass, number> = { 1: 0, 5: 0, 10: 0 };
  /** When the rate of a tenant allows one more start. */
  readonly #blocked = new Map<string, number>();
  readonly #deferred = new Map<GateTask, number>();
  #arrivals = 0;

  constructor(surroundings: GateSurroundings) {
    this.#surroundings = surroundings;
  }

  /** Takes a task behind the gate: a new one, or one that comes back to its place. */
  stage(
    task: GateTask,
    { limits, dueAt, month }: { limits?: TenantLimits; dueAt?: number | undefined; month?: string },
  ): StageOutcome {
    const tenant = this.#tenant(task.tenantId);
    tenant.configure(limits);
    if (this.#deferred.has(task) || tenant.has(task)) return "known";
    if (task.place === undefined) {
      const refusal = tenant.refuse(month);
      if (refusal) return refusal;
      task.month = month;
      task.place = task.priority * 2 ** 32 + ++this.#arrivals;
    }
    tenant.held.delete(task.taskId);
    task.grantedFor = undefined;
    if (dueAt !== undefined && dueAt > this.#surroundings.now()) this.#deferred.set(task, dueAt);
    else tenant.enter(task);
    this.#rank(tenant);
    return "staged";
  }

  /** Asks for a slot for a task that was not admitted for this start. */
  acquire(task: GateTask, start: number, limits?: TenantLimits): boolean {
    const tenant = this.#tenant(task.tenantId);
    tenant.configure(limits);
    if (!tenant.held.has(task.taskId)) {
      if (tenant.isPaused || !tenant.isEnabled || tenant.held.size >= tenant.cap) return false;
      tenant.held.add(task.taskId);
    }
    task.grantedFor = start;
    tenant.leave(task);
    this.#deferred.delete(task);
    this.#rank(tenant);
    return true;
  }

  /** Gives a slot back, unless it was granted for another start. @returns whether one came free. */
  settle(task: GateTask, start: number): boolean {
    if (task.grantedFor !== undefined && task.grantedFor !== start) return false;
    return this.release(task);
  }

  release(task: GateTask): boolean {
    const tenant = this.#tenant(task.tenantId);
    const isFreed = tenant.held.delete(task.taskId);
    task.grantedFor = undefined;
    this.#rank(tenant);
    if (isFreed) this.feedIfHungry();
    return isFreed;
  }

  /** Forgets a task that is gone, and takes it off the month if it never started. */
  drop(task: GateTask, hasStarted: boolean): void {
    const tenant = this.#tenant(task.tenantId);
    if (task.month !== undefined && !hasStarted) {
      tenant.counts.set(task.month, Math.max(0, (tenant.counts.get(task.month) ?? 0) - 1));
    }
    tenant.leave(task);
    this.#deferred.delete(task);
    this.release(task);
  }

  holds(task: GateTask): boolean {
    return this.#tenant(task.tenantId).held.has(task.taskId);
  }

  configure(tenantId: string, change: { limits?: TenantLimits; isPaused?: boolean }): void {
    const tenant = this.#tenant(tenantId);
    tenant.configure(change.limits);
    tenant.isPaused = change.isPaused ?? tenant.isPaused;
    if (this.#rank(tenant) !== undefined) this.feedIfHungry();
  }

  /** Admits what a tenant that has just staged something makes possible. */
  feedFor(tenantId: string): void {
    if (CLASSES.some((ring) => this.#rings[ring].has(tenantId))) this.feedIfHungry();
  }

  feedIfHungry(): void {
    if (this.#surroundings.readyTasks() * 2 < this.window) this.feed(this.window);
  }

  /** Admits what may be admitted, at most `limit` tasks. @returns how many. */
  feed(limit: number): number {
    const now = this.#surroundings.now();
    this.#returnDue(now);
    let room = this.window - this.#surroundings.readyTasks();
    let admitted = 0;
    for (let steps = 0; room > 0 && admitted < limit && steps < MAX_STEPS; steps++) {
      const chosen = this.turns.pick((candidate) => this.#rings[candidate].size > 0);
      if (chosen === undefined) break;
      const [tenantId, time] = first(this.#rings[chosen]);
      const tenant = this.#tenant(tenantId);
      const waitMs = tenant.rateWaitMs(now);
      if (waitMs > 0) this.#blocked.set(tenantId, now + waitMs);
      else {
        const task = tenant.takeHead();
        if (task) {
          tenant.held.add(task.taskId);
          tenant.virtualTimes[chosen] = time + 1 / tenant.weight;
          this.#clocks[chosen] = time;
          tenant.countStart(now);
          this.#surroundings.admit(task);
          admitted++;
          room--;
        }
      }
      this.#rank(tenant);
    }
    return admitted;
  }

  /** When the first of what waits for a time comes due, in Unix milliseconds. */
  get nextDueAt(): number | undefined {
    const next = Math.min(...this.#blocked.values(), ...this.#deferred.values());
    return Number.isFinite(next) ? next : undefined;
  }

  /** Tenants with anything staged or held. */
  depths(addedAt: (task: GateTask) => number): TenantDepth[] {
    return [...this.#tenants.values()]
      .filter(({ staged, held }) => staged > 0 || held.size > 0)
      .map((tenant) => ({
        tenantId: tenant.tenantId,
        staged: tenant.staged,
        held: tenant.held.size,
        maxConcurrent: tenant.cap,
        weight: tenant.weight,
        isPaused: tenant.isPaused || !tenant.isEnabled,
        oldestAt: tenant.head && addedAt(tenant.head),
      }));
  }

  #tenant(tenantId: string): GateTenant {
    let tenant = this.#tenants.get(tenantId);
    if (!tenant) {
      tenant = new GateTenant(tenantId);
      this.#tenants.set(tenantId, tenant);
    }
    return tenant;
  }

  #returnDue(now: number): void {
    for (const [tenantId, at] of this.#blocked) {
      if (at > now) continue;
      this.#blocked.delete(tenantId);
      this.#rank(this.#tenant(tenantId));
    }
    for (const [task, at] of this.#deferred) {
      if (at > now) continue;
      this.#deferred.delete(task);
      const tenant = this.#tenant(task.tenantId);
      tenant.enter(task);
      this.#rank(tenant);
    }
  }

  /** Puts a tenant where its state says: into the ring of its first task, or into none. */
  #rank(tenant: GateTenant): PriorityClass | undefined {
    const { head, tenantId } = tenant;
    const isEligible =
      !tenant.isPaused &&
      tenant.isEnabled &&
      !this.#blocked.has(tenantId) &&
      tenant.held.size < tenant.cap;
    const ring = head && isEligible ? classOf(head.priority) : undefined;
    for (const other of CLASSES) if (other !== ring) this.#rings[other].delete(tenantId);
    if (ring !== undefined) {
      // Idling earns no credit: who comes back starts at the clock of the class.
      const time = Math.max(tenant.virtualTimes[ring], this.#clocks[ring]);
      this.#rings[ring].set(tenantId, time);
    }
    return ring;
  }
}

/** The tenant with the least virtual time; of equals the one whose id comes first. */
function first(ring: ReadonlyMap<string, number>): [tenantId: string, time: number] {
  let best: [string, number] = ["", Number.POSITIVE_INFINITY];
  for (const [tenantId, time] of ring) {
    if (time < best[1] || (time === best[1] && tenantId < best[0])) best = [tenantId, time];
  }
  return best;
}
