import type { Component, Listener } from "@millrace/core";
import type { ResolvedIngestOptions } from "./ingest-options.ts";
import type { ListenAddress } from "./listening/listen-address.ts";
import type { MirrorUpstreamStatus } from "./mirror/upstream-mirror.ts";
import type { RefusalReason } from "./refusal.ts";

/** Counters of a server since it was created, and what it holds now. */
export interface IngestStatus {
  /** Connections now. */
  openConnections: number;
  /** Connections that came, refused and closed ones included. */
  connections: number;
  /** Connections that broke: resets, broken pipes. */
  socketErrors: number;
  /** Stored and acknowledged. */
  payloads: number;
  /** Bytes in them. */
  payloadBytes: number;
  /** `PING`s that were answered. */
  pings: number;
  /** What was turned away, by reason. */
  refusals: Record<RefusalReason, number>;
  /** Memory in frames that are being received or not yet answered. */
  unfinishedBytes: number;
  /** By the name of the upstream. */
  mirror: Record<string, MirrorUpstreamStatus>;
}

/** One refusal, as the events report it. */
export interface Refusal {
  reason: RefusalReason;
  remoteAddress: string | undefined;
  /** Name of the token, where a payload was refused that had come whole. */
  token: string | undefined;
}

/** Events of an {@link IngestServer}. */
export type IngestEvents = {
  /** When a frame was answered with `5:ERROR`. */
  "frame:refused": Refusal;
  /** When a connection was turned away, or was ended because its peer took too long. */
  "connection:refused": Refusal;
};

/** A TCP server that acknowledges payloads once a buffer has them. */
export interface IngestServer extends Component {
  readonly options: ResolvedIngestOptions;
  /**
   * Where it listens, with the port that `port: 0` took.
   *
   * @throws {@link MillraceError} `ILLEGAL_STATE` before it has started, or on a Unix socket.
   */
  address(): ListenAddress;
  /**
   * Where it takes HTTP requests.
   *
   * @throws {@link MillraceError} `ILLEGAL_STATE` before it has started, or without `http`.
   */
  httpAddress(): ListenAddress;
  /**
   * Where it takes datagrams.
   *
   * @throws {@link MillraceError} `ILLEGAL_STATE` before it has started, or without `udp`.
   */
  udpAddress(): ListenAddress;
  status(): IngestStatus;
  on<Name extends keyof IngestEvents>(
    event: Name,
    listener: Listener<IngestEvents[Name]>,
  ): () => void;
}
