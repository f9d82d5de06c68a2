import { messageOf } from "../../errors.ts";
import { openDatabase } from "../database.ts";
import { lockForAppending } from "../file-lock.ts";
import { requeue } from "../requeue.ts";
import { isDamage, readDamageMark } from "../salvage/damage-mark.ts";
import { salvage, type SalvageReport } from "../salvage/salvage.ts";
import { finishSwitch } from "../salvage/switch-files.ts";
import { check } from "./check.ts";
import { assertExists } from "./open-file.ts";

/**
 * Makes a new file of what can be read of a damaged one, as a buffer does at its start.
 *
 * @param isForced does so with a sound file too. @returns undefined when there was nothing to do.
 */
export function repair(path: string, isForced: boolean): SalvageReport | undefined {
  return holdingLock(path, () => {
    finishSwitch(path);
    const reason =
      readDamageMark(path)?.reason ?? check(path).damage ?? (isForced ? "forced" : undefined);
    return reason === undefined ? undefined : salvage(path, reason);
  });
}

/** Makes claimed payloads pending again; see {@link requeue}. */
export function requeueClaims(
  path: string,
  batchId: string | undefined,
): Array<{ batchId: string; rows: number }> {
  return holdingLock(path, () => {
    const database = openDatabase(path, { durability: "power" });
    try {
      return requeue(database, batchId);
    } catch (error) {
      if (isDamage(error))
        throw new Error(`${messageOf(error)}: repair it first`, { cause: error });
      throw error;
    } finally {
      database.close();
    }
  });
}

function holdingLock<Result>(path: string, work: () => Result): Result {
  assertExists(path);
  const unlock = lockForAppending(path);
  try {
    return work();
  } finally {
    unlock();
  }
}
