import { parseOptions, signWebhook } from "@millrace/core";
import * as z from "zod";
import type { Alert, AlertChannel, AlertMessage } from "../alert.ts";
import { postJson } from "./post-json.ts";

/** Options of {@link webhookChannel}. */
export interface WebhookChannelOptions {
  /** Where to POST. Redirects are not followed. */
  url: string;
  /** Shared with the receiver, at least 24 bytes; `whsec_` and base64 as in Standard Webhooks, or plain text. */
  secret: string;
  /** Unique among the channels of a database. @default "webhook" */
  name?: string | undefined;
}

/** Validates {@link WebhookChannelOptions} and fills in defaults. */
export const webhookChannelOptionsSchema = z.strictObject({
  url: z.url({ protocol: /^https?$/ }).meta({ secret: true }),
  secret: z.string().min(24).meta({ secret: true }),
  name: z.string().min(1).default("webhook"),
});

/** Alerts that a grouped body carries; `count` has them all. */
const MAX_LISTED = 100;

/**
 * Sends alerts to a program: JSON, signed by Standard Webhooks. The body is `{ type, timestamp, data }`,
 * `type` being `issue.new` or `issue.reopened` with the issue in `data`, or `issues.digest` with
 * `data.count` and the first hundred in `data.alerts`.
 *
 * @throws {@link MillraceError} `CONFIG_INVALID`.
 * @example
 * ```ts
 * import { webhookChannel } from "@millrace/drain/alerts";
 *
 * export const channel = (secret: string) =>
 *   webhookChannel({ url: "https://ops.example/hooks/issues", secret });
 * ```
 */
export function webhookChannel(options: WebhookChannelOptions): AlertChannel {
  const { url, secret, name } = parseOptions(
    webhookChannelOptionsSchema,
    options,
    "webhookChannel",
  );
  return {
    name,
    send: (message, signal) => {
      const body = JSON.stringify(webhookBody(message));
      const headers = signWebhook(secret, { id: message.id, body, at: Date.now() });
      return postJson(url, body, { headers, signal });
    },
  };
}

function webhookBody({ alerts }: AlertMessage): object {
  const [first] = alerts;
  const timestamp = first.createdAt.toISOString();
  if (alerts.length === 1) return { type: first.kind, timestamp, data: alertData(first) };
  const listed = alerts.slice(0, MAX_LISTED).map((alert) => alertData(alert));
  return { type: "issues.digest", timestamp, data: { count: alerts.length, alerts: listed } };
}

function alertData({ id, kind, source, issue, createdAt, url }: Alert): object {
  return { id, kind, source, created_at: createdAt.toISOString(), url, issue };
}
