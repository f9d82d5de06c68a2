import { refuseWebhook, signWebhook } from "../src/standard-webhooks.ts";
import { expect, test } from "vitest";

const at = 1_614_265_330_000;
const tolerance = { now: at, toleranceMs: 300_000 };

test("a body is signed as in the example of Standard Webhooks", () => {
  const headers = signWebhook("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", {
    id: "msg_p5jXN8AQM9LWM0D4loKWxJek",
    body: '{"test": 2432232314}',
    at,
  });
  expect(headers).toEqual({
    "webhook-id": "msg_p5jXN8AQM9LWM0D4loKWxJek",
    "webhook-timestamp": "1614265330",
    "webhook-signature": "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=",
  });
});

test("a request is refused when it is unsigned, old, or signed with another secret", () => {
  const secret = "a secret that both sides know";
  const signed = new Headers({ ...signWebhook(secret, { id: "1", body: "{}", at }) });
  expect(refuseWebhook(secret, signed, "{}", tolerance)).toBeUndefined();
  expect(refuseWebhook(secret, signed, "{ }", tolerance)).toBe("forged");
  expect(refuseWebhook("another secret of this length", signed, "{}", tolerance)).toBe("forged");
  expect(refuseWebhook(secret, signed, "{}", { ...tolerance, now: at + 300_001 })).toBe("stale");
  expect(refuseWebhook(secret, new Headers(), "{}", tolerance)).toBe("unsigned");
});
