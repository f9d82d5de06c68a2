import { MillraceError } from "@millrace/core";
import { createMemoryLogger } from "@millrace/core/testing";
import { describe, expect, it } from "vitest";
import { addScheduled } from "../src/scheduled-task.ts";

describe("the task of a tick", () => {
  const tick = { scheduleId: "nightly", dueAt: 1_000, task: { tenantId: "acme", data: {} } };
  const failing = (error: Error) => ({
    async add() {
      throw error;
    },
  });

  it("is given up when it is refused, and tried again when Redis or its queue is away", async () => {
    const logger = createMemoryLogger();
    const refusal = new MillraceError("QUEUE_QUOTA_EXCEEDED", "no more this month");
    await addScheduled(failing(refusal), tick, logger);
    for (const error of [
      new Error("Connection is closed."),
      new MillraceError("QUEUE_TENANT_MOVING", "a moment"),
      new MillraceError("QUEUE_CLOSED", "is closed"),
    ]) {
      await expect(addScheduled(failing(error), tick, logger)).rejects.toBe(error);
    }
    expect(logger.lines.map(({ message }) => message)).toEqual([
      "scheduled task refused",
      ...Array.from({ length: 3 }, () => "scheduled task not added yet"),
    ]);
  });
});
