import type { DependencyCondition } from "../options/process-options.ts";

/** Dependencies by process: name and condition of each. */
export type DependencyGraph = ReadonlyMap<string, Readonly<Record<string, DependencyCondition>>>;

/** Processes grouped so that each only depends on earlier groups; `undefined` if there is a cycle. */
export function dependencyLevels(graph: DependencyGraph): string[][] | undefined {
  const levels: string[][] = [];
  const placed = new Set<string>();
  while (placed.size < graph.size) {
    const level = [...graph]
      .filter(([name]) => !placed.has(name))
      .filter(([, dependencies]) => Object.keys(dependencies).every((name) => placed.has(name)))
      .map(([name]) => name)
      .toSorted();
    if (level.length === 0) return undefined;
    for (const name of level) placed.add(name);
    levels.push(level);
  }
  return levels;
}

/** A cycle as the path that leads back to its beginning; `undefined` if there is none. */
export function findCycle(graph: DependencyGraph): string[] | undefined {
  const done = new Set<string>();
  const visit = (name: string, path: string[]): string[] | undefined => {
    const at = path.indexOf(name);
    if (at !== -1) return [...path.slice(at), name];
    if (done.has(name)) return undefined;
    for (const next of Object.keys(graph.get(name) ?? {})) {
      const cycle = visit(next, [...path, name]);
      if (cycle !== undefined) return cycle;
    }
    done.add(name);
    return undefined;
  };
  for (const name of graph.keys()) {
    const cycle = visit(name, []);
    if (cycle !== undefined) return cycle;
  }
  return undefined;
}
