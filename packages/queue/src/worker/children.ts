import { configInvalid } from "@millrace/core";
import type { Job } from "bullmq";
import type { AddedTask, NewTask } from "../new-task.ts";
import type { Queue } from "../queue.ts";
import { PutOff } from "./put-off.ts";

/** A task that another task asks for. */
export interface ChildTask<Input> extends Omit<
  NewTask<Input>,
  "tenantId" | "jobId" | "parent" | "deduplication"
> {
  /** Names the child among its siblings; the same key in a later run is the same child. */
  key: string;
}

/** What became of a task's children, by their keys. */
export interface ChildResults {
  completed: Record<string, unknown>;
  /** Reasons of those that failed for good. */
  failed: Record<string, string>;
}

/** A task's own tasks: they pass the gate like any other, as `urgent` unless told otherwise. */
export interface Children {
  /**
   * Adds a child to a queue, for the same tenant. Running again after a crash changes nothing.
   *
   * @throws {@link MillraceError} `CONFIG_INVALID` when the queues do not share a hash tag (create them with
   * `tag: "shared"`), and what {@link Queue.add} throws.
   */
  add: <Input>(queue: Queue<Input>, child: ChildTask<Input>) => Promise<AddedTask>;
  /**
   * What the children gave. While one is not done the run ends here without holding a slot (let what it
   * throws pass), and the handler is run again when all are done.
   */
  results: () => Promise<ChildResults>;
}

/** A task that may have children, as the queue that keeps it sees it. */
export interface ParentTask {
  readonly taskId: string;
  /** BullMQ's qualified name of its queue. */
  readonly queueName: string;
  /** Children that are not done. */
  countUnfinished(): Promise<number>;
  /** What the others gave, by their ids. */
  ended(): Promise<ChildResults>;
}

/** The children of a task in `parentQueue`. */
export function childrenOf(parent: ParentTask, parentQueue: Queue, tenantId: string): Children {
  const idPrefix = `${parent.taskId}~`;
  const ended = async (): Promise<ChildResults> => {
    const { completed, failed } = await parent.ended();
    return { completed: byKey(completed, idPrefix), failed: byKey(failed, idPrefix) };
  };
  let endedBefore: Promise<ChildResults> | undefined;
  return {
    async add(queue, { key, priority = "urgent", ...rest }) {
      if (queue.keys.bullmqPrefix !== parentQueue.keys.bullmqPrefix) {
        throw configInvalid("children.add", [
          {
            path: "queue",
            problem: `${queue.role} and ${parentQueue.role} have no common hash tag: create both with tag: "shared"`,
          },
        ]);
      }
      const taskId = `${idPrefix}${key}`;
      // Adding a child that has failed would make the parent wait for it again.
      endedBefore ??= ended();
      const { completed, failed } = await endedBefore;
      if (Object.hasOwn(completed, key) || Object.hasOwn(failed, key)) {
        return { taskId, isDuplicate: true };
      }
      return await queue.add({
        ...rest,
        priority,
        tenantId,
        jobId: taskId,
        parent: { id: parent.taskId, queue: parent.queueName },
      });
    },
    async results() {
      if ((await parent.countUnfinished()) > 0) throw new PutOff({ kind: "children" });
      return await ended();
    },
  };
}

/** The task that `job` is a run of. */
export function parentOf(job: Job): ParentTask {
  return {
    taskId: job.id ?? "",
    queueName: job.queueQualifiedName,
    async countUnfinished() {
      const { unprocessed = 0 } = await job.getDependenciesCount({ unprocessed: true });
      return unprocessed;
    },
    async ended() {
      const [completed, failed] = await Promise.all([
        job.getChildrenValues<unknown>(),
        job.getIgnoredChildrenFailures(),
      ]);
      return { completed, failed };
    },
  };
}

/** BullMQ's ids of children have the names of their queues before a colon, which no task id has. */
function byKey<Value>(values: Record<string, Value>, idPrefix: string): Record<string, Value> {
  return Object.fromEntries(
    Object.entries(values).map(([id, value]) => [
      id.slice(id.lastIndexOf(":") + 1 + idPrefix.length),
      value,
    ]),
  );
}
