import { readFileSync, readlinkSync } from "node:fs";

/** What the kernel says about one listening socket. */
export interface SocketLoad {
  /** Connections that nobody has accepted yet. */
  waiting: number;
  /** Connections open on its port, those included. */
  open: number;
}

const LISTEN = "0A";
const OVER = new Set([LISTEN, "06", "07"]);

/** Reads `/proc`'s tables of TCP sockets; `undefined` where there are none. */
export function readSocketTable(): string | undefined {
  try {
    return readFileSync("/proc/net/tcp", "latin1") + readIfThere("/proc/net/tcp6");
  } catch {
    return undefined;
  }
}

/** The inode by which the tables name a descriptor of this process. */
export function socketInode(fd: number): string | undefined {
  try {
    return /^socket:\[(\d+)\]$/.exec(readlinkSync(`/proc/self/fd/${fd}`))?.[1];
  } catch {
    return undefined;
  }
}

/** The load of a listening socket; the tables give its accept queue as the receive queue. */
export function socketLoad(table: string, inode: string, port: number): SocketLoad {
  const suffix = `:${port.toString(16).toUpperCase().padStart(4, "0")}`;
  let waiting = 0;
  let open = 0;
  for (const line of table.split("\n")) {
    const [, local = "", , state = "", queues = "", , , , , socket] = line.trim().split(/\s+/);
    if (!local.endsWith(suffix)) continue;
    if (state === LISTEN && socket === inode) waiting = Number.parseInt(queues.slice(9), 16);
    else if (!OVER.has(state)) open++;
  }
  return { waiting, open };
}

function readIfThere(path: string): string {
  try {
    return readFileSync(path, "latin1");
  } catch {
    return "";
  }
}
