import { messageOf, parseOptions } from "@millrace/core";
import * as z from "zod";
import { type AlertChannel, alertNotSent } from "../alert.ts";
import { messageText, messageTitle } from "../alert-text.ts";

/** Options of {@link emailChannel}. */
export interface EmailChannelOptions {
  /** Name or address of the SMTP server. */
  host: string;
  /** @default 587, or 465 with `tls: "implicit"` */
  port?: number | undefined;
  /**
   * `required`: STARTTLS, or nothing is sent. `implicit`: TLS from the first byte. `opportunistic`: STARTTLS
   * where the server offers it. `none`: as it is, for a server on the same machine.
   *
   * @default "required"
   */
  tls?: "required" | "implicit" | "opportunistic" | "none" | undefined;
  /** PEM of the authority that the server's certificate is checked against. @default those of Node.js */
  ca?: string | undefined;
  /** User and password for the server. @default none, nobody logs in */
  auth?: { user: string; password: string } | undefined;
  /** `Alerts <alerts@example.com>`, or an address alone. */
  from: string;
  /** Addresses, at least one. */
  to: string[];
  /** Unique among the channels of a database. @default "email" */
  name?: string | undefined;
}

/** Validates {@link EmailChannelOptions} and fills in defaults. */
export const emailChannelOptionsSchema = z.strictObject({
  host: z.string().min(1),
  port: z.int().min(1).max(65_535).optional(),
  tls: z.enum(["required", "implicit", "opportunistic", "none"]).default("required"),
  ca: z.string().min(1).optional(),
  auth: z
    .strictObject({ user: z.string().min(1), password: z.string().meta({ secret: true }) })
    .optional(),
  from: z.string().min(1),
  to: z.array(z.string().min(1)).min(1),
  name: z.string().min(1).default("email"),
});

/** How long the server may be silent before its connection is cut, in milliseconds. */
const SILENCE_MS = 10_000;
/** Answers that are about this mail, not about the server or who we are: RFC 5321, 4.2.3. */
const PERMANENT = new Set([552, 554]);

/**
 * Sends alerts by mail, through nodemailer.
 *
 * @throws {@link MillraceError} `CONFIG_INVALID`.
 * @example
 * ```ts
 * import { emailChannel } from "@millrace/drain/alerts";
 *
 * export const channel = (password: string) =>
 *   emailChannel({
 *     host: "smtp.example.com",
 *     auth: { user: "alerts", password },
 *     from: "Alerts <alerts@example.com>",
 *     to: ["oncall@example.com"],
 *   });
 * ```
 */
export function emailChannel(options: EmailChannelOptions): AlertChannel {
  const { host, port, tls, ca, auth, from, to, name } = parseOptions(
    emailChannelOptionsSchema,
    options,
    "emailChannel",
  );
  return {
    name,
    async send(message, signal) {
      // Loaded only by those who use it.
      const { createTransport } = await import("nodemailer");
      const transport = createTransport({
        host,
        port: port ?? (tls === "implicit" ? 465 : 587),
        secure: tls === "implicit",
        requireTLS: tls === "required",
        ignoreTLS: tls === "none",
        connectionTimeout: SILENCE_MS,
        greetingTimeout: SILENCE_MS,
        socketTimeout: SILENCE_MS,
        ...(ca !== undefined && { tls: { ca } }),
        ...(auth && { auth: { user: auth.user, pass: auth.password } }),
      });
      try {
        signal.throwIfAborted();
        await transport.sendMail({
          from,
          to,
          subject: messageTitle(message).replaceAll(/\s+/g, " "),
          text: messageText(message),
          messageId: `<${message.id}@millrace>`,
          headers: { "Auto-Submitted": "auto-generated" },
        });
      } catch (error) {
        throw alertNotSent(`${host}: ${messageOf(error)}`, {
          isPermanent: PERMANENT.has(answerOf(error)),
          cause: error,
        });
      } finally {
        transport.close();
      }
    },
  };
}

function answerOf(error: unknown): number {
  return error instanceof Error ? Number(Reflect.get(error, "responseCode")) : Number.NaN;
}
