import type { Probe } from "./probe.ts";

const MAX_BODY_LENGTH = 65_536;

/** What to ask and which answers pass. */
export interface HttpProbeTarget {
  host: string;
  port: number | undefined;
  socketPath: string | undefined;
  path: string;
  headers: Record<string, string>;
  status: readonly number[] | undefined;
  bodyIncludes: string | undefined;
}

/** Passes when a GET gets an expected status and, if asked for, an expected text. */
export function httpProbe(target: HttpProbeTarget): Probe {
  // Imported, it would read its WebSocket getter and with it load undici: 13 MiB in every supervisor.
  const { request } = process.getBuiltinModule("node:http");
  return (signal) =>
    new Promise((resolve) => {
      const name = target.socketPath ?? `${target.host}:${target.port}`;
      const fail = (reason: string): void =>
        resolve({ passed: false, reason: `GET ${name}${target.path}: ${reason}` });
      const outgoing = request(
        {
          method: "GET",
          path: target.path,
          headers: target.headers,
          // A connection of its own: a kept one would survive what the probe is to find out.
          agent: false,
          signal,
          ...(target.socketPath === undefined
            ? { host: target.host, port: target.port }
            : { socketPath: target.socketPath }),
        },
        (response) => {
          const status = response.statusCode ?? 0;
          const expected = target.status?.includes(status) ?? (status >= 200 && status < 400);
          let body = "";
          response.setEncoding("utf8");
          response.on("data", (chunk: string) => {
            if (body.length < MAX_BODY_LENGTH) body += chunk;
          });
          response.on("error", (error) => fail(error.message));
          response.on("end", () => {
            if (!expected) fail(`status ${status}`);
            else if (target.bodyIncludes !== undefined && !body.includes(target.bodyIncludes)) {
              fail(`the body lacks ${JSON.stringify(target.bodyIncludes)}`);
            } else resolve({ passed: true });
          });
        },
      );
      outgoing.on("socket", (socket) => socket.unref());
      outgoing.on("error", (error) => fail(signal.aborted ? "no answer in time" : error.message));
      outgoing.end();
    });
}
