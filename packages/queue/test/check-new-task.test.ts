import { QueueKeys } from "bullmq";
import { describe, expect, it } from "vitest";
import { isTaskId } from "../src/check-new-task.ts";

describe("the id of a task", () => {
  it("is never the name of a key that BullMQ keeps of the queue", () => {
    const names = Object.keys(new QueueKeys().getKeys("queue"));
    expect(names.length).toBeGreaterThan(10);
    expect(names.filter((name) => isTaskId(name))).toEqual([]);
  });
});
