import { open } from "node:fs/promises";

const CHUNK_BYTES = 65_536;
/** TIME_WAIT, CLOSE and LISTEN. */
const NOT_OPEN = new Set(["06", "07", "0A"]);

/**
 * Connections open on a local port, those that nobody has accepted yet included. Reads the kernel's
 * whole tables off the event loop, and looks closer only at lines that may be meant: for seldom use.
 */
export async function countOpenConnections(port: number): Promise<number> {
  const needle = `:${port.toString(16).toUpperCase().padStart(4, "0")} `;
  const counts = await Promise.all(
    ["/proc/net/tcp", "/proc/net/tcp6"].map((path) => countInTable(path, needle)),
  );
  return counts.reduce((sum, count) => sum + count, 0);
}

async function countInTable(path: string, needle: string): Promise<number> {
  // Without IPv6 there is no table of it.
  const table = await open(path).catch(() => undefined);
  if (table === undefined) return 0;
  try {
    const chunk = Buffer.alloc(CHUNK_BYTES);
    let count = 0;
    let rest = "";
    for (;;) {
      const { bytesRead } = await table.read(chunk, 0, CHUNK_BYTES);
      if (bytesRead === 0) return count;
      const text = rest + chunk.toString("latin1", 0, bytesRead);
      const end = text.lastIndexOf("\n") + 1;
      count += countOpen(text.slice(0, end), needle);
      rest = text.slice(end);
    }
  } finally {
    await table.close();
  }
}

/** Of lines of a table, those whose local address ends in `needle` and whose connection is open. */
function countOpen(lines: string, needle: string): number {
  let count = 0;
  for (let at = lines.indexOf(needle); at >= 0; at = lines.indexOf(needle, at + 1)) {
    const start = lines.lastIndexOf("\n", at) + 1;
    const [, local = "", , state = ""] = lines
      .slice(start, lines.indexOf("\n", at))
      .trim()
      .split(/\s+/);
    // The other address of a connection, which follows, may have the same port.
    const isLocal = at < lines.indexOf(local, start) + local.length;
    if (isLocal && !NOT_OPEN.has(state)) count++;
  }
  return count;
}
