import { MillraceError } from "./errors.ts";

/** Oldest Node.js that the packages run on, as `[major, minor]`. */
export const MINIMUM_NODE_VERSION = [22, 19] as const;

/**
 * Refuses a Node.js that is too old, before native code that would crash in it is loaded.
 *
 * @throws {@link MillraceError} `NODE_VERSION_UNSUPPORTED`.
 */
export function assertNodeVersion(version: string = process.versions.node): void {
  const [major = 0, minor = 0] = version.split(".").map(Number);
  const [minimumMajor, minimumMinor] = MINIMUM_NODE_VERSION;
  if (major > minimumMajor || (major === minimumMajor && minor >= minimumMinor)) return;
  throw new MillraceError(
    "NODE_VERSION_UNSUPPORTED",
    `Millrace needs Node.js ${minimumMajor}.${minimumMinor} or newer, this is ${version}: ` +
      "install a newer one (https://nodejs.org) or, in a project, `npm install --save-dev node@24` " +
      "and start with `npx node`",
    { details: { version } },
  );
}
