import type { ListenFrom } from "./listen-options.ts";

/** Where a server listens. */
export interface ListenAddress {
  host: string;
  port: number;
}

/** Where a server listens, when it may be a Unix socket. */
export type BoundAddress = ListenAddress | { path: string };

/** {@link ListenOptions} that say where to listen, after defaults. */
export interface ListenTarget extends ListenAddress {
  socket?: string | undefined;
  socketMode: number;
  reusePort: boolean;
  listen?: ListenFrom | undefined;
}
