import type { Client } from "pg";
import { from as copyFrom } from "pg-copy-streams";

/** Takes what a COPY stream still sends after the server has refused it. */
const NOWHERE = { stream: { write: () => true, once: () => {} }, sendCopyFail: () => {} };

/**
 * Runs one COPY ... FROM STDIN with all of its data.
 *
 * @param data lines in COPY's text format.
 */
export function copyIn(client: Client, sql: string, data: Buffer | string): Promise<void> {
  return new Promise((resolve, reject) => {
    const stream = client.query(copyFrom(sql));
    stream.once("finish", resolve);
    stream.on("error", (error) => {
      // The stream drops its connection on an error and then, when data was still waiting for the
      // socket to drain, uses it: in a thread that ends the thread.
      queueMicrotask(() => Object.assign(stream, { connection: NOWHERE }));
      reject(error);
    });
    stream.end(typeof data === "string" ? Buffer.from(data, "utf8") : data);
  });
}
