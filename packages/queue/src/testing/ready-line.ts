import type { TaskRecord } from "./task-record.ts";

interface Entry {
  task: TaskRecord;
  /** Within a priority; 0 is the front. */
  order: number;
}

/** Tasks that workers may take: by priority, then in the order in which they came. */
export class ReadyLine {
  #entries: Entry[] = [];
  #entered = 0;

  get length(): number {
    return this.#entries.length;
  }

  /** Ids in the order in which they will be taken. */
  get ids(): string[] {
    return this.#entries.map(({ task }) => task.taskId);
  }

  enter(task: TaskRecord, isFirst: boolean): void {
    const entry = { task, order: isFirst ? 0 : ++this.#entered };
    let index = this.#entries.length;
    while (index > 0 && isBefore(entry, this.#entries[index - 1])) index--;
    this.#entries.splice(index, 0, entry);
  }

  take(): TaskRecord | undefined {
    return this.#entries.shift()?.task;
  }

  leave(task: TaskRecord): void {
    this.#entries = this.#entries.filter((entry) => entry.task !== task);
  }
}

function isBefore(one: Entry, other: Entry | undefined): boolean {
  if (!other) return false;
  if (one.task.priority !== other.task.priority) return one.task.priority < other.task.priority;
  return one.order < other.order;
}
