import type { Child, ParentLink, TaskRecord } from "./task-record.ts";

/** A queue as the children of its tasks see it. */
interface ParentQueue {
  readonly tasks: ReadonlyMap<string, TaskRecord>;
  /** Lets a task go on that waited for its children, if it did. */
  childrenEnded(parent: TaskRecord): void;
}

/** What children tell their parents, in whatever queue these are. */
export class Family {
  readonly #queueNamed: (qualifiedName: string) => ParentQueue | undefined;

  constructor(queueNamed: (qualifiedName: string) => ParentQueue | undefined) {
    this.#queueNamed = queueNamed;
  }

  /** Makes a task its parent's child; `remove` is called when the parent is removed. */
  join(task: TaskRecord, remove: () => void): void {
    const child: Child = { isRunning: () => isRunning(task), remove };
    this.#parentOf(task)?.children.set(task.taskId, child);
  }

  /** @throws Error when there is no such parent. */
  assertParent(link: ParentLink | undefined): void {
    if (!link || this.#queueNamed(link.queue)?.tasks.has(link.id)) return;
    throw new Error(`no task ${link.id} in ${link.queue} to be a parent`);
  }

  completed(child: TaskRecord): void {
    this.#parentOf(child)?.childResults.set(child.taskId, child.result);
    this.gone(child);
  }

  failed(child: TaskRecord, reason: string): void {
    this.#parentOf(child)?.childFailures.set(child.taskId, reason);
    this.gone(child);
  }

  gone(child: TaskRecord): void {
    const parent = this.#parentOf(child);
    if (!parent?.children.delete(child.taskId) || parent.children.size > 0) return;
    this.#queueNamed(child.parent?.queue ?? "")?.childrenEnded(parent);
  }

  #parentOf({ parent }: TaskRecord): TaskRecord | undefined {
    return parent && this.#queueNamed(parent.queue)?.tasks.get(parent.id);
  }
}

/** Whether a task runs, or one of its children does. */
export function isRunning(task: TaskRecord): boolean {
  return task.state === "running" || [...task.children.values()].some((child) => child.isRunning());
}
