import {
  type AlertChannel,
  discordChannel,
  emailChannel,
  slackChannel,
  webhookChannel,
} from "@millrace/drain/alerts";
import type { AgentConfig } from "./agent-config.ts";

/** A channel for each part of MILLRACE_ALERTS_... that is set. */
export function alertChannels({ webhook, slack, discord, email }: AgentConfig["alerts"]) {
  const channels: AlertChannel[] = [];
  if (webhook !== undefined) channels.push(webhookChannel(webhook));
  if (slack !== undefined) channels.push(slackChannel(slack));
  if (discord !== undefined) channels.push(discordChannel(discord));
  if (email !== undefined) {
    const { user, password, ...server } = email;
    const auth = user === undefined ? undefined : { user, password: password ?? "" };
    channels.push(emailChannel({ ...server, auth }));
  }
  return channels;
}
