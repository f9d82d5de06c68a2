/** What `server.listen` takes: an inherited socket, or a port that several processes bind. */
export type ListenTarget = { fd: number } | { port: number; host: string; reusePort: true };

/**
 * Where the supervisor wants this instance to listen, to hand to `server.listen`; `undefined` when
 * the process has no `listen` option, so that a port of one's own can be used.
 */
export function sharedListener(
  env: Record<string, string | undefined> = process.env,
): ListenTarget | undefined {
  const fd = Number(env["MILLRACE_LISTEN_FD"]);
  if (Number.isInteger(fd) && fd > 2) return { fd };
  if (env["MILLRACE_REUSE_PORT"] !== "1") return undefined;
  const host = env["MILLRACE_LISTEN_HOST"] ?? "127.0.0.1";
  return { port: Number(env["PORT"]), host, reusePort: true };
}
