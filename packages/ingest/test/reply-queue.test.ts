import { describe, expect, it } from "vitest";
import { ReplyQueue } from "../src/reply-queue.ts";

describe("ReplyQueue", () => {
  it("holds answers back until those before them are decided", () => {
    const queue = new ReplyQueue();
    const [first, second, third] = [queue.open(), queue.open(), queue.open()];
    third.outcome = "accepted";
    expect(queue.take()).toEqual({ text: "", isLast: false });
    first.outcome = "accepted";
    expect(queue.take()).toEqual({ text: "2:OK", isLast: false });
    second.outcome = "accepted";
    expect(queue.take()).toEqual({ text: "2:OK2:OK", isLast: false });
    expect(queue.size).toBe(0);
  });

  it("says what was accepted before a refusal and nothing after it", () => {
    const queue = new ReplyQueue();
    const [first, second, third] = [queue.open(), queue.open(), queue.open()];
    second.outcome = "refused";
    third.outcome = "accepted";
    expect(queue.take()).toEqual({ text: "", isLast: false });
    first.outcome = "accepted";
    expect(queue.take()).toEqual({ text: "2:OK5:ERROR", isLast: true });
    expect(queue.size).toBe(0);
  });
});
