import type { IncomingMessage } from "node:http";
import type { ByteBudget } from "../byte-budget.ts";
import type { RefusalReason } from "../refusal.ts";

/** A body as it came. Its bytes count against the budget until `release` is called. */
export interface RequestBody {
  readonly chunks: readonly Buffer[];
  readonly bytes: number;
  release(): void;
}

/** Reads a whole body, or says why not. What of it has not come then is the caller's to discard. */
export function readBody(
  incoming: IncomingMessage,
  maxBytes: number,
  budget: ByteBudget,
): Promise<RequestBody | RefusalReason> {
  const chunks: Buffer[] = [];
  let bytes = 0;
  const release = () => {
    budget.release(bytes);
    bytes = 0;
  };
  if (incoming.destroyed) return Promise.resolve("truncated");
  if (declaredBytes(incoming) > maxBytes) return Promise.resolve("frame_too_large");
  return new Promise((resolve) => {
    const stop = (reason: RefusalReason) => {
      incoming.off("data", take);
      chunks.length = 0;
      release();
      resolve(reason);
    };
    const take = (chunk: Buffer) => {
      if (bytes + chunk.length > maxBytes) stop("frame_too_large");
      else if (!budget.tryHold(chunk.length)) stop("memory");
      else {
        bytes += chunk.length;
        chunks.push(chunk);
      }
    };
    incoming.on("data", take);
    incoming.once("end", () => resolve({ chunks, bytes, release }));
    // Comes after "end" too, when there is nothing left to settle.
    incoming.once("close", () => {
      if (!incoming.complete) stop("truncated");
    });
    incoming.on("error", () => {});
  });
}

/** What a refused body may still bring, so that its sender reads the answer before a reset. */
const DISCARD_BYTES = 1024 * 1024;

/** Reads away the rest of a body. @returns false when it is too much for that. */
export async function discardBody(incoming: IncomingMessage): Promise<boolean> {
  if (incoming.complete || incoming.destroyed) return incoming.complete;
  let discarded = 0;
  if (declaredBytes(incoming) > DISCARD_BYTES) return false;
  return new Promise((resolve) => {
    incoming.on("data", (chunk: Buffer) => {
      discarded += chunk.length;
      if (discarded > DISCARD_BYTES) resolve(false);
    });
    incoming.once("end", () => resolve(true));
    incoming.once("close", () => resolve(incoming.complete));
    incoming.on("error", () => {});
    incoming.resume();
  });
}

function declaredBytes({ headers }: IncomingMessage): number {
  return Number(headers["content-length"] ?? 0);
}
