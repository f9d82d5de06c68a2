/**
 * Tells people and programs of new and reopened issues: webhook, Slack, Discord, e-mail.
 *
 * @example
 * ```ts
 * import { runUntilSignal } from "@millrace/core";
 * import { postgres } from "@millrace/drain";
 * import { createAlertDispatcher, webhookChannel } from "@millrace/drain/alerts";
 *
 * export async function main(connectionString: string, secret: string): Promise<void> {
 *   const alerts = createAlertDispatcher({
 *     destination: postgres({ connectionString }),
 *     channels: [webhookChannel({ url: "https://ops.example/hooks/issues", secret })],
 *   });
 *   await runUntilSignal([alerts]);
 * }
 * ```
 *
 * @module
 */
export type { Alert, AlertChannel, AlertMessage } from "./alert.ts";
export type { AlertCounts } from "./alert-counts.ts";
export { type AlertDispatcher, createAlertDispatcher } from "./alert-dispatcher.ts";
export {
  type AlertDispatcherOptions,
  alertDispatcherOptionsSchema,
  type AlertLimits,
} from "./alert-options.ts";
export {
  discordChannel,
  type DiscordChannelOptions,
  discordChannelOptionsSchema,
} from "./channels/discord-channel.ts";
export {
  emailChannel,
  type EmailChannelOptions,
  emailChannelOptionsSchema,
} from "./channels/email-channel.ts";
export {
  slackChannel,
  type SlackChannelOptions,
  slackChannelOptionsSchema,
} from "./channels/slack-channel.ts";
export {
  webhookChannel,
  type WebhookChannelOptions,
  webhookChannelOptionsSchema,
} from "./channels/webhook-channel.ts";
