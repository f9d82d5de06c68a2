import type { TaskRecord } from "./task-record.ts";

type FinalState = "completed" | "failed";

/** Finished tasks in the order in which they finished, until they are too old. */
export class FinishedTasks {
  readonly #tasks: Record<FinalState, TaskRecord[]> = { completed: [], failed: [] };
  readonly #forget: (task: TaskRecord) => void;

  constructor(forget: (task: TaskRecord) => void) {
    this.#forget = forget;
  }

  add(task: TaskRecord): void {
    if (task.state === "completed" || task.state === "failed") this.#tasks[task.state].push(task);
  }

  /** Forgets those that finished at `until` or before. */
  prune(state: FinalState, until: number): void {
    const tasks = this.#tasks[state];
    for (let [oldest] = tasks; oldest && (oldest.finishedAt ?? 0) <= until; [oldest] = tasks) {
      tasks.shift();
      // One that runs again is no longer finished.
      if (oldest.state === state) this.#forget(oldest);
    }
  }
}
