import { Queue } from "bullmq";
import { Queue as LowestQueue } from "bullmq-lowest";
import { expect, it, vi } from "vitest";
import { describeConformance } from "./support/conformance.ts";

vi.mock("bullmq", () => import("bullmq-lowest"));

it("is really run on the lowest version", () => {
  expect(Queue).toBe(LowestQueue);
});

describeConformance("the lowest BullMQ it supports");
