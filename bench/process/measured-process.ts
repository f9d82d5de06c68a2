import { fork } from "node:child_process";
import { once } from "node:events";
import { fileURLToPath } from "node:url";
import type { Calls, Reply } from "./answer-calls.ts";

/** A process of its own for what is measured: its CPU time and memory are nobody else's. */
export interface MeasuredProcess<Offered extends Calls> {
  /** Calls a function that the process offers; one call at a time. */
  call<Name extends keyof Offered & string>(
    name: Name,
    ...input: Parameters<Offered[Name]>
  ): Promise<Awaited<ReturnType<Offered[Name]>>>;
  close(): Promise<void>;
}

const CLOSE_MS = 5_000;

/** Starts a script that ends in `answerCalls`; it does not outlive this process. */
export function startMeasuredProcess<Offered extends Calls>(script: URL): MeasuredProcess<Offered> {
  const child = fork(fileURLToPath(script));
  const exited = once(child, "exit");
  const kill = () => child.kill("SIGKILL");
  process.once("exit", kill);
  return {
    async call<Name extends keyof Offered & string>(
      name: Name,
      ...[input]: Parameters<Offered[Name]>
    ): Promise<Awaited<ReturnType<Offered[Name]>>> {
      child.send({ name, input: input as unknown });
      const [reply] = (await Promise.race([
        once(child, "message"),
        exited.then(() => [{ error: `${script.pathname} ended during ${name}` }]),
      ])) as [Reply];
      if ("error" in reply) throw new Error(reply.error);
      return reply.result as Awaited<ReturnType<Offered[Name]>>;
    },
    async close() {
      const timer = setTimeout(kill, CLOSE_MS);
      if (child.connected) child.disconnect();
      await exited;
      clearTimeout(timer);
      process.off("exit", kill);
    },
  };
}
