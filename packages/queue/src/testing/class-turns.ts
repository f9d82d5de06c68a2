/** What the priorities of tasks are grouped into; see `TaskPriority`. */
export const CLASSES = [1, 5, 10] as const;
export type PriorityClass = (typeof CLASSES)[number];

/** Admissions of each class while all have work. */
export type ClassWeights = Readonly<Record<PriorityClass, number>>;

/** The class of a BullMQ priority. */
export function classOf(priority: number): PriorityClass {
  if (priority <= 1) return 1;
  return priority <= 5 ? 5 : 10;
}

/** Whose turn it is: smooth weighted round robin over the classes that have somebody to serve. */
export class ClassTurns {
  weights: ClassWeights = { 1: 16, 5: 4, 10: 1 };
  readonly #credits: Record<PriorityClass, number> = { 1: 0, 5: 0, 10: 0 };

  pick(hasWork: (priorityClass: PriorityClass) => boolean): PriorityClass | undefined {
    const contenders = CLASSES.filter(hasWork);
    // Who is alone neither pays nor earns.
    if (contenders.length < 2) return contenders[0];
    let best: PriorityClass | undefined;
    let total = 0;
    for (const candidate of contenders) {
      total += this.weights[candidate];
      this.#credits[candidate] += this.weights[candidate];
      if (best === undefined || this.#credits[candidate] > this.#credits[best]) best = candidate;
    }
    if (best !== undefined) this.#credits[best] -= total;
    return best;
  }
}
