/**
 * The socket that the supervisor listens on for all instances, to hand to `server.listen`;
 * `undefined` when the process has none, so that a port of one's own can be used.
 */
export function sharedListener(
  env: Record<string, string | undefined> = process.env,
): { fd: number } | undefined {
  const fd = Number(env["MILLRACE_LISTEN_FD"]);
  return Number.isInteger(fd) && fd > 2 ? { fd } : undefined;
}
