import { spawn } from "node:child_process";
import net from "node:net";
import { MillraceError } from "@millrace/core";
import type { SupervisorErrorCode } from "../errors.ts";

/** Where to listen. */
export interface ListenerAddress {
  host: string;
  port: number;
  backlog: number;
}

/** A bound socket that is never polled here. */
interface BoundHandle {
  fd: number;
  getsockname(out: { port?: number }): number;
  close(): void;
}

type CreateServerHandle = (
  address: string,
  port: number,
  addressType: 4 | 6,
  fd: number,
  flags: number,
) => BoundHandle | number;

/**
 * A listening socket that the supervisor holds and its children accept on. Because the supervisor's
 * copy stays open, connections wait in the kernel's queue while instances come and go; because it is
 * never polled here, every connection goes to a child.
 */
export class SharedListener {
  readonly #handle: BoundHandle;
  readonly port: number;

  private constructor(handle: BoundHandle, port: number) {
    this.#handle = handle;
    this.port = port;
  }

  /** @throws {@link MillraceError} `SUPERVISOR_LISTEN_FAILED` */
  static async open(address: ListenerAddress): Promise<SharedListener> {
    const handle = bind(address);
    if (typeof handle === "number") throw listenFailed(address, `error ${handle}`);
    const name: { port?: number } = {};
    handle.getsockname(name);
    try {
      await listenInChild(handle.fd, address.backlog);
    } catch (error) {
      handle.close();
      throw listenFailed(address, error);
    }
    return new SharedListener(handle, name.port ?? address.port);
  }

  /** For children to inherit. */
  get fd(): number {
    return this.#handle.fd;
  }

  close(): void {
    this.#handle.close();
  }
}

/** Binds without listening: the public API can't do one without the other and would then accept. */
function bind({ host, port }: ListenerAddress): BoundHandle | number {
  const create = Reflect.get(net, "_createServerHandle") as CreateServerHandle | undefined;
  if (create === undefined) return -1;
  return create(host, port, net.isIPv6(host) ? 6 : 4, -1, 0);
}

/**
 * Calls listen(2) on the socket from a process that ends before it could accept: the socket itself
 * then listens for everyone, and connections wait from the first moment, before any instance is up.
 */
function listenInChild(fd: number, backlog: number): Promise<void> {
  const program =
    "require('node:net').createServer().on('error',(e)=>{console.error(e.message);process.exit(1)})" +
    `.listen({fd:3,backlog:${backlog}},()=>process.exit(0))`;
  return new Promise((resolve, reject) => {
    const child = spawn(process.execPath, ["-e", program], {
      stdio: ["ignore", "ignore", "pipe", fd],
      env: {},
    });
    let problem = "";
    child.stderr?.on("data", (chunk: Buffer) => {
      problem += chunk.toString();
    });
    child.once("error", reject);
    child.once("close", (code) => {
      if (code === 0) resolve();
      else reject(new Error(problem.trim() || `exit code ${code}`));
    });
  });
}

function listenFailed(
  { host, port }: ListenerAddress,
  cause: unknown,
): MillraceError<SupervisorErrorCode> {
  return new MillraceError<SupervisorErrorCode>(
    "SUPERVISOR_LISTEN_FAILED",
    `cannot listen on ${host}:${port}: ${cause instanceof Error ? cause.message : String(cause)}; ` +
      "is something else listening there, and is host an address (not a name) of this machine?",
    { cause, details: { host, port } },
  );
}
