import { expect, it } from "vitest";
import { tokenHash } from "../src/auth/token-hash.ts";
import { frame, sendAsOfficialClient, TestClient } from "./support/client.ts";
import { runServer } from "./support/running-server.ts";

it("a token over its rate is refused and counted under its name; others and pings go on", async () => {
  const running = await runServer({
    tokens: [
      // Less than one in a thousand seconds comes back while the test runs.
      { name: "shop", token: "one", payloadsPerSecond: 0.001 },
      { name: "blog", token: "two" },
    ],
  });
  const shop = await tokenHash("one");
  const refused: unknown[] = [];
  running.server.on("frame:refused", (refusal) => refused.push(refusal));
  const client = await TestClient.open(running.address);
  client.send(frame("[1]", shop), frame("[2]", shop));
  await client.expectEnd("2:OK5:ERROR");
  expect(refused).toEqual([{ reason: "rate", remoteAddress: "127.0.0.1", token: "shop" }]);
  expect(await sendAsOfficialClient(running.address, "PING", shop)).toBe("2:OK");
  expect(await sendAsOfficialClient(running.address, "[3]", await tokenHash("two"))).toBe("2:OK");
  expect(running.stored().map(({ token }) => token)).toEqual(["shop", "blog"]);
  const text = await running.metrics.metrics();
  expect(text).toContain('millrace_ingest_token_refusals_total{token="shop",reason="rate"} 1');
  expect(text).not.toContain('token_refusals_total{token="blog"');
});

it("bytesPerSecond holds back a token that sends much", async () => {
  const running = await runServer({
    tokens: [{ name: "shop", token: "one", bytesPerSecond: 100 }],
  });
  const hash = await tokenHash("one");
  expect(await sendAsOfficialClient(running.address, "x".repeat(100_000), hash)).toBe("2:OK");
  expect(await sendAsOfficialClient(running.address, "[1]", hash)).toBe("5:ER");
  expect(running.server.status().refusals.rate).toBe(1);
});
