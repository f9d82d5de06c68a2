import type { Component } from "../component.ts";
import type { Listener } from "../events.ts";
import type { PressureSource } from "../pressure-options.ts";
import type { ResolvedBufferOptions } from "./buffer-options.ts";
import type { BufferStatus } from "./buffer-status.ts";
import type { SalvageReport } from "./salvage/salvage.ts";

/** Events of a {@link DurableBuffer}. */
export type BufferEvents = {
  /** When a start found the file damaged and made a new one of what could be read of it. */
  "file:salvaged": SalvageReport;
  /** When the file turned out to be damaged at run time: the buffer has failed. */
  "file:damaged": { reason: string };
  /** When payloads were found changed on disk; they are not drained. */
  "payloads:lost": { rows: number };
};

/** A right to claim rows, held by one process; see {@link DurableBuffer.registerOwner}. */
export interface BufferOwner {
  readonly owner: string;
  /** For its sessions in other threads: by this they and the buffer's appends take turns. */
  readonly turns: SharedArrayBuffer;
  /** Counts the death of one of its worker threads against the batches that the worker held. */
  countCrash(worker: number): void;
  /** Lets others take over at once whatever this owner still holds. */
  release(): void;
}

/** A durable first-in first-out buffer of payloads in one SQLite file. */
export interface DurableBuffer extends Component, PressureSource {
  readonly options: ResolvedBufferOptions;
  /** UUID of the file; the same for its whole life. */
  readonly bufferId: string;
  /**
   * Stores one payload as it is; resolves once it is durable. The bytes must not change until then.
   *
   * @param token name of the token it came with.
   * @throws {@link MillraceError} `BUFFER_FULL`, `BUFFER_DISK_LOW`, `BUFFER_WRITE_FAILED` or
   * `BUFFER_CLOSED`: the payload was not stored.
   */
  append(payload: Uint8Array, token?: string): Promise<void>;
  /** False when an append would be rejected, or would have to wait, for want of room. */
  hasRoom(): boolean;
  status(): BufferStatus;
  /** Registers this process as one that claims rows. Call it on a running buffer. */
  registerOwner(): BufferOwner;
  /** Calls `listener` on each event until the returned function is called. */
  on<Name extends keyof BufferEvents>(
    event: Name,
    listener: Listener<BufferEvents[Name]>,
  ): () => void;
}
