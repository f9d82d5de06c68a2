import { closeSync, openSync, readlinkSync, readSync } from "node:fs";

const LISTEN = "0A";
// One line of the IPv4 table. The kernel makes lines until it has what was asked for: a larger read
// would go on into the table of connections, which takes milliseconds to walk.
const READ_BYTES = 150;

/**
 * How many connections wait in the queue of a listening socket. The kernel's tables name listening
 * sockets first: however many connections the machine has, a look takes some 25 µs.
 */
export class AcceptQueue {
  readonly #inode: string;
  readonly #tableFd: number;
  readonly #chunk = Buffer.alloc(READ_BYTES);

  private constructor(inode: string, tableFd: number) {
    this.#inode = inode;
    this.#tableFd = tableFd;
  }

  /** `undefined` where the kernel gives no such tables. */
  static of(socketFd: number): AcceptQueue | undefined {
    const inode = socketInode(socketFd);
    if (inode === undefined) return undefined;
    for (const path of ["/proc/net/tcp", "/proc/net/tcp6"]) {
      const tableFd = openTable(path);
      if (tableFd === undefined) continue;
      const queue = new AcceptQueue(inode, tableFd);
      if (queue.waiting() !== undefined) return queue;
      queue.close();
    }
    return undefined;
  }

  /** `undefined` when the socket listens no more. */
  waiting(): number | undefined {
    let rest = "";
    let position = 0;
    let isHeader = true;
    for (;;) {
      const bytes = readSync(this.#tableFd, this.#chunk, 0, READ_BYTES, position);
      if (bytes === 0) return undefined;
      position += bytes;
      const lines = (rest + this.#chunk.toString("latin1", 0, bytes)).split("\n");
      rest = lines.pop() ?? "";
      for (const line of lines) {
        const [, , , state = "", queues = "", , , , , inode] = line.trim().split(/\s+/);
        if (!isHeader && state !== LISTEN) return undefined;
        isHeader = false;
        // A listening socket's receive queue is its accept queue.
        if (inode === this.#inode) return Number.parseInt(queues.slice(9), 16);
      }
    }
  }

  close(): void {
    closeSync(this.#tableFd);
  }
}

/** The inode by which the tables name a descriptor of this process. */
function socketInode(fd: number): string | undefined {
  try {
    return /^socket:\[(\d+)\]$/.exec(readlinkSync(`/proc/self/fd/${fd}`))?.[1];
  } catch {
    return undefined;
  }
}

function openTable(path: string): number | undefined {
  try {
    return openSync(path, "r");
  } catch {
    return undefined;
  }
}
