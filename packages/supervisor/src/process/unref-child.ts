import type { ChildProcess } from "node:child_process";
import { Socket } from "node:net";

/** Lets the program end although this child runs and its pipes and channel are open. */
export function unrefChild(child: ChildProcess): void {
  child.unref();
  child.channel?.unref();
  for (const stream of [child.stdin, child.stdout, child.stderr]) {
    if (stream instanceof Socket) stream.unref();
  }
}
