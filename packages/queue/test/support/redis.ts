import { findTestRedis } from "@millrace/services";
import { Redis } from "ioredis";
import { afterAll } from "vitest";

/** The Redis of this test file. */
export const redisService = await findTestRedis();
afterAll(() => redisService.remove());

let next = 0;

/** A connection to it; closed by the caller. */
export function connect(): Redis {
  return new Redis(redisService.url, { maxRetriesPerRequest: null });
}

/** A key prefix that no other test uses. */
export function uniquePrefix(): string {
  return `t${process.pid}-${Date.now().toString(36)}-${next++}`;
}
