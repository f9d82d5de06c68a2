import { chmodSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { onProcessExit } from "./exit-guard.ts";
import { canEnter, giveTo, type ServiceUser } from "./service-user.ts";

/** A folder for one service below the system's temporary one, removed with the process at the latest. */
export interface ServiceFolder {
  readonly path: string;
  /** Removes the folder and all in it; harmless when repeated. */
  remove(): void;
}

/** Makes a private temporary folder that `user` owns; with `keep` nothing ever removes it. */
export function createServiceFolder(
  service: string,
  user?: ServiceUser,
  { keep = false }: { readonly keep?: boolean } = {},
): ServiceFolder {
  // A TMPDIR below root's home is closed to every other user.
  const parent = canEnter(user, tmpdir()) ? tmpdir() : "/tmp";
  const path = mkdtempSync(join(parent, `millrace-${service}-`));
  chmodSync(path, 0o700);
  giveTo(user, path);
  if (keep) return { path, remove: () => undefined };
  const removeNow = (): void =>
    rmSync(path, { recursive: true, force: true, maxRetries: 5, retryDelay: 50 });
  const forget = onProcessExit(removeNow);
  return {
    path,
    remove: () => {
      forget();
      removeNow();
    },
  };
}
