import { parseOptions } from "@millrace/core";
import * as z from "zod";
import type { AlertChannel } from "../alert.ts";
import { cut, messageText, messageTitle } from "../alert-text.ts";
import { postJson } from "./post-json.ts";

/** Options of {@link slackChannel}. */
export interface SlackChannelOptions {
  /** The URL of an incoming webhook; a secret. */
  webhookUrl: string;
  /** Unique among the channels of a database. @default "slack" */
  name?: string | undefined;
}

/** Validates {@link SlackChannelOptions} and fills in defaults. */
export const slackChannelOptionsSchema = z.strictObject({
  webhookUrl: z.url({ protocol: /^https?$/ }).meta({ secret: true }),
  name: z.string().min(1).default("slack"),
});

/** What a header and a section may hold: https://docs.slack.dev/reference/block-kit/blocks */
const MAX_HEADER = 150;
const MAX_SECTION = 3_000;

/**
 * Sends alerts to a Slack channel through an incoming webhook.
 *
 * @throws {@link MillraceError} `CONFIG_INVALID`.
 * @example
 * ```ts
 * import { slackChannel } from "@millrace/drain/alerts";
 *
 * export const channel = (webhookUrl: string) => slackChannel({ webhookUrl });
 * ```
 */
export function slackChannel(options: SlackChannelOptions): AlertChannel {
  const { webhookUrl, name } = parseOptions(slackChannelOptionsSchema, options, "slackChannel");
  return {
    name,
    send: (message, signal) => {
      const title = messageTitle(message);
      const body = {
        // What notifications show; blocks alone would leave them empty.
        text: escape(title),
        blocks: [
          { type: "header", text: { type: "plain_text", text: cut(title, MAX_HEADER) } },
          { type: "section", text: { type: "mrkdwn", text: cutEscaped(messageText(message)) } },
        ],
      };
      return postJson(webhookUrl, JSON.stringify(body), { signal });
    },
  };
}

/** So that an exception's message mentions nobody: https://docs.slack.dev/messaging/formatting-message-text */
function escape(text: string): string {
  return text.replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll(">", "&gt;");
}

function cutEscaped(text: string): string {
  const escaped = escape(text);
  if (escaped.length <= MAX_SECTION) return escaped;
  // An entity that is cut in half would show as it is written.
  return `${escaped.slice(0, MAX_SECTION - 1).replace(/&[a-z]{0,3}$|[\uD800-\uDBFF]$/, "")}…`;
}
