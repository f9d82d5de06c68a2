import { createHmac, timingSafeEqual } from "node:crypto";

/** The three headers of the Standard Webhooks specification (standardwebhooks.com, version 1). */
export interface WebhookHeaders {
  "webhook-id": string;
  "webhook-timestamp": string;
  "webhook-signature": string;
}

/**
 * Signs a body with the symmetric scheme `v1` of Standard Webhooks. `secret` is `whsec_` and base64, or
 * plain text; `at` is in Unix milliseconds.
 */
export function signWebhook(
  secret: string,
  { id, body, at }: { id: string; body: string; at: number },
): WebhookHeaders {
  const timestamp = String(Math.floor(at / 1_000));
  return {
    "webhook-id": id,
    "webhook-timestamp": timestamp,
    "webhook-signature": `v1,${signature(secret, id, timestamp, body).toString("base64")}`,
  };
}

/**
 * Checks the signature of a request that {@link signWebhook}, or any library of Standard Webhooks, has signed.
 *
 * @returns why the request is not to be trusted, or undefined.
 */
export function refuseWebhook(
  secret: string,
  headers: Headers,
  body: string,
  { now, toleranceMs }: { now: number; toleranceMs: number },
): "unsigned" | "stale" | "forged" | undefined {
  const id = headers.get("webhook-id");
  const timestamp = headers.get("webhook-timestamp");
  const signatures = headers.get("webhook-signature");
  if (!id || !timestamp || !signatures) return "unsigned";
  const at = Number(timestamp) * 1_000;
  if (!Number.isFinite(at) || Math.abs(now - at) > toleranceMs) return "stale";
  const expected = signature(secret, id, timestamp, body);
  const isGenuine = signatures.split(" ").some((part) => {
    const [version, value = ""] = part.split(",");
    const given = Buffer.from(value, "base64");
    return version === "v1" && given.length === expected.length && timingSafeEqual(given, expected);
  });
  return isGenuine ? undefined : "forged";
}

function signature(secret: string, id: string, timestamp: string, body: string): Buffer {
  const key = secret.startsWith("whsec_") ? Buffer.from(secret.slice(6), "base64") : secret;
  return createHmac("sha256", key).update(`${id}.${timestamp}.${body}`).digest();
}
