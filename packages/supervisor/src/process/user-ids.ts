import { readFileSync } from "node:fs";
import { MillraceError } from "@millrace/core";
import type { SupervisorErrorCode } from "../errors.ts";

/** Numeric ids to run as. */
export interface UserIds {
  uid: number | undefined;
  gid: number | undefined;
}

/**
 * Ids of a user and group given by name or number.
 *
 * @throws {@link MillraceError} `SUPERVISOR_USER_UNKNOWN`: running as root instead would be worse
 * than not running.
 */
export function resolveUser(
  user: string | number | undefined,
  group: string | number | undefined,
): UserIds {
  const account = user === undefined ? undefined : findAccount("/etc/passwd", user, "user");
  const named = group === undefined ? undefined : findAccount("/etc/group", group, "group");
  return { uid: account?.id, gid: named?.id ?? account?.groupId };
}

function findAccount(
  file: string,
  wanted: string | number,
  kind: "user" | "group",
): { id: number; groupId: number | undefined } {
  let text = "";
  try {
    text = readFileSync(file, "utf8");
  } catch {
    // Without the file only numeric ids can be used.
  }
  for (const line of text.split("\n")) {
    const [name, , id, groupId] = line.split(":");
    if (name !== wanted && id !== String(wanted)) continue;
    return { id: Number(id), groupId: kind === "user" ? Number(groupId) : undefined };
  }
  if (typeof wanted === "number" || /^\d+$/.test(wanted)) {
    return { id: Number(wanted), groupId: undefined };
  }
  throw new MillraceError<SupervisorErrorCode>(
    "SUPERVISOR_USER_UNKNOWN",
    `there is no ${kind} ${JSON.stringify(wanted)} in ${file}: create it or use a numeric id`,
    { details: { [kind]: wanted } },
  );
}
