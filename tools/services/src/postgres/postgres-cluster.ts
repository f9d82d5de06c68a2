import { spawnSync } from "node:child_process";
import { createHash, randomBytes } from "node:crypto";
import {
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  realpathSync,
  renameSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { dirname, join, resolve } from "node:path";
import { isAlive, programOf, workingFolderOf } from "../process-table.ts";
import { ServiceError } from "../service-error.ts";
import { canEnter, giveTo, type ServiceUser } from "../service-user.ts";
import { waitUntil } from "../wait-until.ts";
import type { PostgresBinaries } from "./postgres-binaries.ts";

/** The superuser of every cluster that is initialised here. */
export const SUPERUSER = "postgres";

const PASSWORD_FILE = "millrace-password";
// Root's own projects are often closed to the user that PostgreSQL runs as; this folder is not.
const ROOT_DATA_FOLDER = "/var/lib/millrace";

/**
 * Where the cluster for `dataDir` can live: there, unless `user` cannot get to it.
 *
 * The other place is a folder of `/var/lib/millrace` named for the path, so that the next run finds it again; one line
 * on standard error says so.
 */
export function reachableDataDir(dataDir: string, user: ServiceUser | undefined): string {
  const wanted = resolve(dataDir);
  mkdirSync(dirname(wanted), { recursive: true });
  if (canEnter(user, dirname(wanted))) return wanted;
  const name = createHash("sha256").update(wanted).digest("hex").slice(0, 12);
  const reachable = join(ROOT_DATA_FOLDER, `postgres-${name}`);
  mkdirSync(ROOT_DATA_FOLDER, { recursive: true, mode: 0o755 });
  process.stderr.write(
    `PostgreSQL does not run as root, and user ${user?.name} cannot enter ${wanted}: its data is in ${reachable}\n`,
  );
  return reachable;
}

/**
 * Initialises `dataDir` unless it already holds a cluster of the same major version.
 *
 * @returns The superuser's password, empty for a cluster from elsewhere.
 * @throws {@link ServiceError} `SERVICES_START_FAILED` when the versions differ or `initdb` fails.
 */
export function ensureCluster(
  dataDir: string,
  { binDir, version }: PostgresBinaries,
  user: ServiceUser | undefined,
  { sync }: { readonly sync: boolean },
): string {
  const passwordFile = join(dataDir, PASSWORD_FILE);
  const versionFile = join(dataDir, "PG_VERSION");
  if (existsSync(versionFile)) {
    const found = readFileSync(versionFile, "utf8").trim();
    if (found !== version.split(".")[0]) {
      throw new ServiceError(
        "SERVICES_START_FAILED",
        `The cluster in ${dataDir} was made by PostgreSQL ${found}, the binaries in ${binDir} are ${version}; remove the folder or choose the other binaries with "prefer".`,
      );
    }
    return existsSync(passwordFile) ? readFileSync(passwordFile, "utf8").trim() : "";
  }
  return initialise(dataDir, binDir, user, sync);
}

/** Makes the cluster under another name and renames it, so that an interrupted `initdb` is never mistaken for one. */
function initialise(
  dataDir: string,
  binDir: string,
  user: ServiceUser | undefined,
  sync: boolean,
): string {
  if (existsSync(dataDir) && readdirSync(dataDir).length > 0) {
    throw new ServiceError(
      "SERVICES_START_FAILED",
      `${dataDir} is not empty and holds no PostgreSQL cluster; name an empty or a missing folder.`,
    );
  }
  const draft = `${dataDir}.new`;
  const draftPassword = `${draft}-password`;
  const password = randomBytes(18).toString("base64url");
  rmSync(draft, { recursive: true, force: true });
  rmSync(draftPassword, { force: true });
  mkdirSync(draft, { mode: 0o700 });
  giveTo(user, draft);
  writeFileSync(draftPassword, password, { mode: 0o600 });
  giveTo(user, draftPassword);
  try {
    runInitdb(binDir, draft, draftPassword, user, sync);
    renameSync(draftPassword, join(draft, PASSWORD_FILE));
    rmSync(dataDir, { recursive: true, force: true });
    renameSync(draft, dataDir);
  } finally {
    rmSync(draft, { recursive: true, force: true });
    rmSync(draftPassword, { force: true });
  }
  return password;
}

function runInitdb(
  binDir: string,
  dataDir: string,
  passwordFile: string,
  user: ServiceUser | undefined,
  sync: boolean,
): void {
  const { status, stderr, error } = spawnSync(
    join(binDir, "initdb"),
    [
      `--pgdata=${dataDir}`,
      `--username=${SUPERUSER}`,
      `--pwfile=${passwordFile}`,
      "--auth=scram-sha-256",
      "--encoding=UTF8",
      "--no-locale",
      ...(sync ? [] : ["--no-sync"]),
    ],
    {
      cwd: "/",
      encoding: "utf8",
      env: { PATH: process.env["PATH"], LC_ALL: "C" },
      ...(user && { uid: user.uid, gid: user.gid }),
    },
  );
  if (status !== 0) {
    throw new ServiceError(
      "SERVICES_START_FAILED",
      `initdb could not make a cluster in ${dataDir}: ${error?.message ?? stderr.trim()}`,
    );
  }
}

/** What `postmaster.pid` says: https://www.postgresql.org/docs/current/storage-file-layout.html */
export interface PostmasterStatus {
  readonly pid: number;
  /** `starting`, `ready`, `stopping` or `standby`. */
  readonly state: string;
  readonly sharedMemoryId: string | undefined;
}

/** Reads `postmaster.pid`, or returns `undefined` when there is none. */
export function readPostmasterStatus(dataDir: string): PostmasterStatus | undefined {
  let lines: string[];
  try {
    lines = readFileSync(join(dataDir, "postmaster.pid"), "utf8").split("\n");
  } catch {
    return undefined;
  }
  return {
    pid: Number(lines[0]),
    state: lines[7]?.trim() ?? "starting",
    sharedMemoryId: lines[6]?.trim().split(/\s+/)[1],
  };
}

/**
 * Makes sure that no other server holds `dataDir`.
 *
 * What a killed server left is PostgreSQL's to clean up, but for one case: it refuses to start when the old process id
 * now belongs to some other program.
 *
 * @throws {@link ServiceError} `SERVICES_START_FAILED` when a server still runs on the folder after 10 s.
 */
export async function releaseCluster(dataDir: string): Promise<void> {
  const status = readPostmasterStatus(dataDir);
  if (status === undefined || !isAlive(status.pid)) return;
  if (!isPostmasterOf(dataDir, status.pid)) {
    rmSync(join(dataDir, "postmaster.pid"), { force: true });
    return;
  }
  try {
    // A run that was killed leaves its server to a watchdog, which needs a moment.
    await waitUntil(() => !isAlive(status.pid), {
      description: `the server with process id ${status.pid} ends`,
      timeoutMs: 10_000,
    });
  } catch (cause) {
    throw new ServiceError(
      "SERVICES_START_FAILED",
      `Another PostgreSQL, process id ${status.pid}, serves ${dataDir}; end it first (kill -INT ${status.pid}).`,
      { cause },
    );
  }
}

function isPostmasterOf(dataDir: string, pid: number): boolean {
  const folder = workingFolderOf(pid);
  // Where the system does not tell the folder, any PostgreSQL counts: refusing is safer than two servers on one folder.
  return (
    programOf(pid) === "postgres" && (folder === undefined || folder === realpathSync(dataDir))
  );
}

/** Frees the shared memory segment of a cluster that was killed and will not start again. */
export function freeSharedMemory(dataDir: string): void {
  const id = readPostmasterStatus(dataDir)?.sharedMemoryId;
  if (id !== undefined) spawnSync("ipcrm", ["-m", id], { stdio: "ignore" });
}
