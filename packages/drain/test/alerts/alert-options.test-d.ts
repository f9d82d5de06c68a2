import type {
  AlertDispatcherOptions,
  alertDispatcherOptionsSchema,
  DiscordChannelOptions,
  discordChannelOptionsSchema,
  EmailChannelOptions,
  emailChannelOptionsSchema,
  SlackChannelOptions,
  slackChannelOptionsSchema,
  WebhookChannelOptions,
  webhookChannelOptionsSchema,
} from "@millrace/drain/alerts";
import { expectTypeOf, it } from "vitest";
import type { z } from "zod";

it("the options interfaces are what the schemas take", () => {
  expectTypeOf<
    z.input<typeof alertDispatcherOptionsSchema>
  >().toEqualTypeOf<AlertDispatcherOptions>();
  expectTypeOf<
    z.input<typeof discordChannelOptionsSchema>
  >().toEqualTypeOf<DiscordChannelOptions>();
  expectTypeOf<z.input<typeof emailChannelOptionsSchema>>().toEqualTypeOf<EmailChannelOptions>();
  expectTypeOf<z.input<typeof slackChannelOptionsSchema>>().toEqualTypeOf<SlackChannelOptions>();
  expectTypeOf<
    z.input<typeof webhookChannelOptionsSchema>
  >().toEqualTypeOf<WebhookChannelOptions>();
});
