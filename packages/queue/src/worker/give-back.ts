import { DelayedError, type Job, type RedisQueueBackend, WaitingChildrenError } from "bullmq";
import { farDelayMs } from "../gate/far-delay.ts";
import { type Gate, type StageRequest, stageOutcome } from "../gate/gate.ts";
import { commandName, type ScriptName } from "../lua-scripts.ts";
import type { RedisClient } from "../redis-client.ts";
import { PUT_OFF_FIELD } from "./start-limit.ts";

/** The parts of an ioredis transaction that are used here. */
interface Transaction {
  hincrby(key: string, field: string, by: number): unknown;
  exec(): Promise<Array<[Error | null, unknown]> | null>;
}

export interface RunInHand {
  job: Job;
  /** BullMQ's lock token of the run. */
  token: string;
  backend: RedisQueueBackend;
  gate: Gate;
}

/**
 * Puts a running job back behind the gate, at its old place in the line, or until `dueAt`. Its slot is
 * free afterwards and no attempt is counted.
 *
 * @throws {@link DelayedError} always: it tells BullMQ that the job has moved.
 */
export async function giveBack(
  run: RunInHand,
  request: Omit<StageRequest, "jobId">,
): Promise<never> {
  const { job, gate } = run;
  const stage = { ...request, jobId: job.id ?? "", feed: false };
  const reply = await moveAway(run, Date.now(), farDelayMs(Date.now()), "stage", [
    ...gate.prefixArguments,
    ...gate.stageArguments(stage),
  ]);
  // A script that Redis had forgotten fails inside MULTI; without MULTI ioredis sends its text.
  if (reply === undefined || stageOutcome(reply) === "missing") await gate.stage(stage);
  throw new DelayedError();
}

/** Parks a running job until its callback or the deadline. @throws {@link DelayedError} always. */
export async function parkForCallback(
  run: RunInHand,
  wait: { tenantId: string; dispatchKey: string; deadlineAt: number; releaseSlot: boolean },
): Promise<never> {
  const { gate, job } = run;
  const now = Date.now();
  const args = [
    ...gate.prefixArguments,
    wait.tenantId,
    job.id ?? "",
    wait.dispatchKey,
    wait.releaseSlot ? "1" : "0",
  ];
  const reply = await moveAway(
    run,
    now,
    Math.max(1, wait.deadlineAt - now),
    "await-callback",
    args,
  );
  if (reply === undefined) {
    const command = Reflect.get(gate.client, commandName("await-callback")) as (
      ...values: Array<string | number>
    ) => Promise<unknown>;
    await command.call(gate.client, ...gate.routingKeys, ...args);
  }
  throw new DelayedError();
}

/**
 * Lets a running job wait for its children; BullMQ brings it back when the last is done.
 *
 * @throws {@link WaitingChildrenError} or, when all are done by now, {@link DelayedError}: always one.
 */
export async function waitForChildren(
  run: RunInHand,
  request: Omit<StageRequest, "jobId">,
): Promise<never> {
  const { job, gate } = run;
  // Before the move: afterwards the job may run, end and be gone at any moment.
  await gate.client.hincrby(jobKey(gate, job), PUT_OFF_FIELD, 1);
  if (await job.moveToWaitingChildren(run.token)) throw new WaitingChildrenError();
  return giveBack(run, request);
}

/** BullMQ's own move to delayed and one of our scripts in one transaction. */
async function moveAway(
  { job, token, backend, gate }: RunInHand,
  now: number,
  delayMs: number,
  script: ScriptName,
  args: ReadonlyArray<string | number>,
): Promise<unknown> {
  const client = (await backend.client) as unknown as { multi(): Transaction };
  const transaction = client.multi();
  const moveArguments = backend.moveToDelayedArgs(job.id ?? "", now, token, delayMs, {
    skipAttempt: true,
  });
  backend.execCommand(transaction as never, "moveToDelayed", moveArguments);
  const run = Reflect.get(transaction, commandName(script)) as (...values: unknown[]) => unknown;
  run.call(transaction, ...gate.routingKeys, ...args);
  transaction.hincrby(jobKey(gate, job), PUT_OFF_FIELD, 1);
  const replies = await transaction.exec();
  const [moveError, moved] = replies?.[0] ?? [];
  if (moveError) throw moveError;
  if (Number(moved) < 0) {
    throw backend.finishedErrors({
      code: Number(moved),
      jobId: job.id ?? "",
      command: "moveToDelayed",
      state: "active",
    });
  }
  const [scriptError, reply] = replies?.[1] ?? [];
  return scriptError ? undefined : reply;
}

function jobKey({ keys }: Gate, job: Job): string {
  return `${keys.bullmq}${job.id}`;
}

/** A gate over the worker's own connection, so that its commands keep the order of BullMQ's. */
export async function rawClient(backend: RedisQueueBackend): Promise<RedisClient> {
  return (await backend.client) as unknown as RedisClient;
}
