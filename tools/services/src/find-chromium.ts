import { existsSync, readdirSync } from "node:fs";
import { homedir } from "node:os";
import { join } from "node:path";
import { findProgram } from "./find-program.ts";

const MAC_PROGRAMS = [
  "/Applications/Chromium.app/Contents/MacOS/Chromium",
  "/Applications/Google Chrome.app/Contents/MacOS/Google Chrome",
];

/**
 * Finds a Chromium or Chrome: on the PATH, among the applications of macOS, in Playwright's cache, or by installing it
 * as root on Debian and Ubuntu.
 *
 * @returns The path of the binary. As root it needs `--no-sandbox`.
 * @throws {@link ServiceError} `SERVICES_NOT_FOUND`, with the command that installs it.
 */
export async function findChromium(): Promise<string> {
  const application = MAC_PROGRAMS.find((program) => existsSync(program));
  if (application !== undefined) return application;
  return findProgram({
    title: "Chromium",
    names: ["chromium", "chromium-browser", "google-chrome-stable", "google-chrome", "chrome"],
    folders: playwrightFolders,
    aptPackage: "chromium",
    brewFormula: "--cask chromium",
  });
}

function playwrightFolders(): string[] {
  const cache = join(homedir(), ".cache", "ms-playwright");
  if (!existsSync(cache)) return [];
  return readdirSync(cache)
    .filter((name) => name.startsWith("chromium-"))
    .toSorted()
    .toReversed()
    .flatMap((name) =>
      ["chrome-linux", "chrome-linux64"].map((folder) => join(cache, name, folder)),
    );
}
