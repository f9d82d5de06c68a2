import { spawnSync } from "node:child_process";
import { chownSync } from "node:fs";
import { ServiceError } from "./service-error.ts";

/** The operating system user that a server runs as. */
export interface ServiceUser {
  readonly name: string;
  readonly uid: number;
  readonly gid: number;
}

/** Made when the machine has no `postgres` user to borrow. */
const OWN_USER_NAME = "millrace";

let cached: ServiceUser | undefined;

/**
 * The unprivileged user for servers that refuse to run as root, or `undefined` when this process is not root and the
 * servers can run as its own user.
 *
 * @throws {@link ServiceError} `SERVICES_START_FAILED` when no such user exists and none can be made.
 */
export function unprivilegedUser(): ServiceUser | undefined {
  if (process.getuid?.() !== 0) return undefined;
  cached ??= findUser("postgres") ?? findUser(OWN_USER_NAME) ?? createUser();
  return cached;
}

/** Gives a file or folder to `user`; nothing to do without one. */
export function giveTo(user: ServiceUser | undefined, path: string): void {
  if (user !== undefined) chownSync(path, user.uid, user.gid);
}

/** Whether `user` may enter the folder `path`, through all of its parents. */
export function canEnter(user: ServiceUser | undefined, path: string): boolean {
  if (user === undefined) return true;
  const { status } = spawnSync("/bin/sh", ["-c", 'cd -- "$1"', "sh", path], {
    cwd: "/",
    uid: user.uid,
    gid: user.gid,
    stdio: "ignore",
  });
  return status === 0;
}

function findUser(name: string): ServiceUser | undefined {
  const uid = readId(["-u", name]);
  const gid = readId(["-g", name]);
  return uid === undefined || gid === undefined ? undefined : { name, uid, gid };
}

function readId(commandArguments: readonly string[]): number | undefined {
  const { status, stdout } = spawnSync("id", commandArguments, { encoding: "utf8" });
  return status === 0 ? Number(stdout.trim()) : undefined;
}

function createUser(): ServiceUser {
  const made = [
    ["useradd", "--system", "--no-create-home", "--shell", "/usr/sbin/nologin", OWN_USER_NAME],
    // Alpine has BusyBox's adduser only.
    ["adduser", "-S", "-D", "-H", OWN_USER_NAME],
  ].some(([program = "", ...rest]) => spawnSync(program, rest, { stdio: "ignore" }).status === 0);
  const user = made ? findUser(OWN_USER_NAME) : undefined;
  if (user === undefined) {
    throw new ServiceError(
      "SERVICES_START_FAILED",
      `PostgreSQL and PgBouncer refuse to run as root, and no user "${OWN_USER_NAME}" could be made for them. ` +
        `Make one (useradd --system ${OWN_USER_NAME}) or run as an ordinary user.`,
    );
  }
  return user;
}
