import { messageOf } from "@millrace/core";

/** Exit code of a command that could not be done. */
export const FAILED = 2;

/** Exits with the code that `run` returns; what it throws is told and exits with {@link FAILED}. */
export async function runCommand(
  name: string,
  run: (args: string[]) => Promise<number>,
): Promise<void> {
  process.stdout.on("error", () => process.exit(FAILED));
  try {
    process.exitCode = await run(process.argv.slice(2));
  } catch (error) {
    process.stderr.write(`${name}: ${messageOf(error)}\n`);
    process.exitCode = FAILED;
  }
}
