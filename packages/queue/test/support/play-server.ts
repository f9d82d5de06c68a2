import { once } from "node:events";
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";

interface SeenRequest {
  path: string;
  headers: IncomingMessage["headers"];
  text: string;
  body: unknown;
}

export type Scene = (response: ServerResponse, request: SeenRequest) => unknown;

/** A local HTTP server that plays what a test tells it. */
export async function playServer() {
  const seen: SeenRequest[] = [];
  let scene: Scene = json({}, 500);
  const server = createServer((request, response) => {
    let text = "";
    request.on("data", (chunk: Buffer) => (text += chunk.toString()));
    request.on("end", () => {
      const body = text === "" ? undefined : (JSON.parse(text) as unknown);
      const entry = { path: request.url ?? "", headers: request.headers, text, body };
      seen.push(entry);
      void Promise.resolve(scene(response, entry));
    });
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as AddressInfo;
  return {
    url: `http://127.0.0.1:${port}`,
    port,
    seen,
    play(next: Scene) {
      scene = next;
    },
    async close() {
      server.closeAllConnections();
      server.close();
      await once(server, "close");
    },
  };
}

export const json =
  (body: unknown, status = 200, headers: Record<string, string> = {}): Scene =>
  (response) => {
    response.writeHead(status, { "content-type": "application/json", ...headers });
    response.end(JSON.stringify(body));
  };

/** Writes text in pieces of three bytes, so that every boundary falls inside something. */
export const inPieces =
  (text: string, type = "text/event-stream"): Scene =>
  async (response) => {
    response.writeHead(200, { "content-type": type });
    const bytes = Buffer.from(text);
    for (let at = 0; at < bytes.length; at += 3) {
      response.write(bytes.subarray(at, at + 3));
      if (at % 60 === 0) await new Promise((resolve) => setImmediate(resolve));
    }
    response.end();
  };

export const events = (...pieces: unknown[]): string =>
  pieces
    .map(
      (piece) => `event: x\ndata: ${typeof piece === "string" ? piece : JSON.stringify(piece)}\n\n`,
    )
    .join("");
