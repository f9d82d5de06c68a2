import { once } from "node:events";
import { createServer, type IncomingHttpHeaders, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { onTestFinished } from "vitest";

interface ReceivedRequest {
  path: string;
  headers: IncomingHttpHeaders;
  text: string;
  body: Record<string, unknown>;
}

export interface Receiver {
  readonly url: string;
  /** What has come, in order. */
  readonly requests: ReceivedRequest[];
  /** Answers from now on; undefined hangs. */
  answer: ((response: ServerResponse, request: ReceivedRequest) => void) | undefined;
}

/** An HTTP server of the other side; gone when the test is. */
export async function receiver(): Promise<Receiver> {
  const requests: ReceivedRequest[] = [];
  const server = createServer((incoming, response) => {
    const chunks: Buffer[] = [];
    incoming.on("data", (chunk: Buffer) => chunks.push(chunk));
    incoming.on("end", () => {
      const text = Buffer.concat(chunks).toString();
      const request = {
        path: incoming.url ?? "",
        headers: incoming.headers,
        text,
        body: JSON.parse(text) as Record<string, unknown>,
      };
      requests.push(request);
      played.answer?.(response, request);
    });
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  onTestFinished(() => {
    server.closeAllConnections();
    server.close();
  });
  const { port } = server.address() as AddressInfo;
  const played: Receiver = {
    url: `http://127.0.0.1:${port}/hook`,
    requests,
    answer: (response) => response.writeHead(204).end(),
  };
  return played;
}

/** Answers with a status and headers. */
export const status =
  (code: number, headers: Record<string, string> = {}) =>
  (response: ServerResponse): void => {
    response.writeHead(code, headers).end();
  };
