import * as z from "zod";

/** Where datagrams are taken, one frame in each and none answered. What is lost, nobody hears of. */
export interface IngestUdpOptions {
  /** Address to bind. @default the server's `host` */
  host?: string | undefined;
  /** Port to bind; 0 takes a free one, see `udpAddress()`. @default 2407 */
  port?: number | undefined;
}

export const udpSchema = z
  .strictObject({
    host: z.string().min(1).optional(),
    port: z.int().min(0).max(65_535).default(2407),
  })
  .optional();
