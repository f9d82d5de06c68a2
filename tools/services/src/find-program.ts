import { spawn } from "node:child_process";
import { accessSync, constants, existsSync } from "node:fs";
import { delimiter, join } from "node:path";
import { ServiceError } from "./service-error.ts";

/** What a program is called and which packages bring it. */
export interface ProgramSource {
  /** What it is called in messages: "Redis". */
  readonly title: string;
  /** File names to look for, best first. */
  readonly names: readonly string[];
  /** Folders besides those of PATH, best first. */
  readonly folders?: (() => readonly string[]) | undefined;
  /** The Debian and Ubuntu package. */
  readonly aptPackage: string;
  /** The Homebrew formula, with `--cask` where it is one. */
  readonly brewFormula: string;
}

// Not every PATH has these, and Debian puts servers there.
const SYSTEM_FOLDERS = ["/usr/local/sbin", "/usr/sbin", "/sbin", "/opt/homebrew/bin"];

/**
 * Finds a program on the PATH or, as root on Debian and Ubuntu, installs its package first.
 *
 * @throws {@link ServiceError} `SERVICES_NOT_FOUND`, with the command that installs it.
 */
export async function findProgram(source: ProgramSource): Promise<string> {
  const found = lookUpProgram(source);
  if (found !== undefined) return found;
  if (process.getuid?.() === 0 && existsSync("/usr/bin/apt-get")) {
    await installPackage(source);
    const installed = lookUpProgram(source);
    if (installed !== undefined) return installed;
  }
  throw new ServiceError(
    "SERVICES_NOT_FOUND",
    `${source.title} is not installed: no ${source.names.join(" or ")} on the PATH. Install it with: ${installCommand(source)}`,
  );
}

/** Finds a program without installing anything. */
export function lookUpProgram({
  names,
  folders,
}: Pick<ProgramSource, "names" | "folders">): string | undefined {
  const path = (process.env["PATH"] ?? "").split(delimiter).filter((folder) => folder !== "");
  return [...path, ...SYSTEM_FOLDERS, ...(folders?.() ?? [])]
    .flatMap((folder) => names.map((name) => join(folder, name)))
    .find(isExecutable);
}

function isExecutable(file: string): boolean {
  try {
    accessSync(file, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}

function installCommand({ aptPackage, brewFormula }: ProgramSource): string {
  return process.platform === "darwin"
    ? `brew install ${brewFormula}`
    : `sudo apt-get install ${aptPackage} (Debian, Ubuntu) or the like`;
}

const installs = new Map<string, Promise<void>>();

/** One installation per package at a time, in this process and, by the lock file, on the machine. */
function installPackage({ title, aptPackage }: ProgramSource): Promise<void> {
  let install = installs.get(aptPackage);
  if (install === undefined) {
    process.stderr.write(`${title} is missing: installing ${aptPackage} with apt-get\n`);
    install = runAptGet(aptPackage);
    installs.set(aptPackage, install);
  }
  return install;
}

async function runAptGet(aptPackage: string): Promise<void> {
  const script =
    'dpkg -s "$1" >/dev/null 2>&1 || { apt-get update -qq && apt-get install -y -qq --no-install-recommends "$1"; }';
  const child = spawn("flock", ["/run/millrace-apt.lock", "sh", "-c", script, "sh", aptPackage], {
    // The run level keeps the package from starting its own server: invoke-rc.d(8).
    env: { ...process.env, DEBIAN_FRONTEND: "noninteractive", RUNLEVEL: "1" },
    stdio: ["ignore", "pipe", "pipe"],
  });
  let output = "";
  for (const stream of [child.stdout, child.stderr]) {
    stream.setEncoding("utf8").on("data", (chunk: string) => {
      output = (output + chunk).slice(-4_000);
    });
  }
  const exitCode = await new Promise<number | null>((resolve) => {
    child.once("error", () => resolve(null)).once("close", resolve);
  });
  if (exitCode === 0) return;
  installs.delete(aptPackage);
  throw new ServiceError(
    "SERVICES_NOT_FOUND",
    `apt-get could not install ${aptPackage} (exit code ${exitCode}); run "apt-get update && apt-get install ${aptPackage}" by hand. It said:\n${output}`,
  );
}
