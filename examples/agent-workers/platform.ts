import {
  type Callbacks,
  createCallbacks,
  createEventHub,
  createQueue,
  createTenantStore,
  type EventHub,
  type Queue,
  type TenantStore,
} from "@millrace/queue";
import type { Component, Logger } from "@millrace/core";
import { Redis } from "ioredis";
import { z } from "zod";
import { PLANS, type Role, ROLES } from "./plans.ts";

/** What every process of the example is told. */
export interface PlatformConfig {
  redisUrl: string;
  /** Where records are taken on their way to PostgreSQL. */
  recordsPort: number;
  llmUrl: string;
  /** Where callbacks go: one of the API processes. */
  publicUrl: string;
  secret: string;
}

const input = z.object({
  campaignId: z.string(),
  brief: z.string(),
  roles: z.array(z.string()).optional(),
});

export type AgentInput = z.output<typeof input>;

/** Tenants, queues, events and callbacks: what API and workers share. */
export interface Platform {
  redis: Redis;
  tenants: TenantStore;
  queues: Map<Role, Queue<AgentInput>>;
  events: EventHub;
  callbacks: Callbacks;
  /** In the order in which they start. */
  components: Component[];
}

export function createPlatform(config: PlatformConfig, logger: Logger): Platform {
  const redis = new Redis(config.redisUrl, { maxRetriesPerRequest: null });
  const tenants = createTenantStore({ connection: redis, plans: PLANS, logger });
  const queues = new Map(
    ROLES.map((role) => [
      role,
      // Planner and agents are one flow: their queues share a hash tag.
      createQueue<AgentInput>({ connection: redis, role, tenants, input, tag: "shared", logger }),
    ]),
  );
  const events = createEventHub({ connection: redis, logger });
  const callbacks = createCallbacks({
    queues: [...queues.values()],
    secret: config.secret,
    baseUrl: `${config.publicUrl}/callbacks`,
    logger,
  });
  return {
    redis,
    tenants,
    queues,
    events,
    callbacks,
    components: [tenants, ...queues.values(), events],
  };
}

export function readConfig(): PlatformConfig {
  return JSON.parse(process.env["AGENT_PLATFORM"] ?? "{}") as PlatformConfig;
}
