import { parseOptions } from "@millrace/core";
import * as z from "zod";
import type { AlertChannel } from "../alert.ts";
import { cut, messageText, messageTitle } from "../alert-text.ts";
import { postJson } from "./post-json.ts";

/** Options of {@link discordChannel}. */
export interface DiscordChannelOptions {
  /** The webhook's URL; a secret. */
  webhookUrl: string;
  /** Unique among the channels of a database. @default "discord" */
  name?: string | undefined;
}

/** Validates {@link DiscordChannelOptions} and fills in defaults. */
export const discordChannelOptionsSchema = z.strictObject({
  webhookUrl: z.url({ protocol: /^https?$/ }).meta({ secret: true }),
  name: z.string().min(1).default("discord"),
});

/** Limits of an embed: https://discord.com/developers/docs/resources/message#embed-object */
const MAX_TITLE = 256;
const MAX_DESCRIPTION = 4_096;
const RED = 0xd9_2d_20;
const ORANGE = 0xdc_68_03;

/**
 * Sends alerts to a Discord channel through a webhook.
 *
 * @throws {@link MillraceError} `CONFIG_INVALID`.
 * @example
 * ```ts
 * import { discordChannel } from "@millrace/drain/alerts";
 *
 * export const channel = (webhookUrl: string) => discordChannel({ webhookUrl });
 * ```
 */
export function discordChannel(options: DiscordChannelOptions): AlertChannel {
  const { webhookUrl, name } = parseOptions(discordChannelOptionsSchema, options, "discordChannel");
  return {
    name,
    send: (message, signal) => {
      const [first] = message.alerts;
      const body = {
        embeds: [
          {
            title: cut(messageTitle(message), MAX_TITLE),
            description: cut(messageText(message), MAX_DESCRIPTION),
            color: first.kind === "issue.new" ? RED : ORANGE,
            timestamp: first.createdAt.toISOString(),
            ...(message.alerts.length === 1 && first.url !== undefined && { url: first.url }),
          },
        ],
        // An exception's message must not call everyone.
        allowed_mentions: { parse: [] },
      };
      return postJson(webhookUrl, JSON.stringify(body), { signal });
    },
  };
}
