import { expect, test } from "vitest";
import { TypedEmitter } from "../src/events.ts";
import { waitFor } from "../src/testing.ts";

type Events = { tick: { count: number } };

function emitterWithErrors() {
  const errors: unknown[] = [];
  return { errors, emitter: new TypedEmitter<Events>((error) => errors.push(error)) };
}

test("listeners hear an event in the order they were added, until they unsubscribe", () => {
  const { emitter } = emitterWithErrors();
  const heard: string[] = [];
  const off = emitter.on("tick", ({ count }) => heard.push(`a${count}`));
  emitter.on("tick", ({ count }) => heard.push(`b${count}`));
  emitter.emit("tick", { count: 1 });
  off();
  off();
  emitter.emit("tick", { count: 2 });
  expect(heard).toEqual(["a1", "b1", "b2"]);
});

test("one function added twice is called twice and removed one at a time", () => {
  const { emitter } = emitterWithErrors();
  let calls = 0;
  const listener = () => calls++;
  const off = emitter.on("tick", listener);
  emitter.on("tick", listener);
  emitter.emit("tick", { count: 1 });
  expect(calls).toBe(2);
  off();
  off();
  emitter.emit("tick", { count: 2 });
  expect(calls).toBe(3);
});

test("a listener that throws or rejects is reported and the others still hear the event", async () => {
  const { emitter, errors } = emitterWithErrors();
  let heard = 0;
  // A listener returns nothing, but the compiler lets one pass that returns a promise.
  const rejects = (): unknown => Promise.reject(new Error("later"));
  emitter.on("tick", () => {
    throw new Error("at once");
  });
  emitter.on("tick", rejects);
  emitter.on("tick", () => heard++);
  emitter.emit("tick", { count: 1 });
  expect(heard).toBe(1);
  await waitFor(() => errors.length === 2);
  expect(errors.map(String)).toEqual(["Error: at once", "Error: later"]);
});

test("a listener added while an event is told hears only the next one; a removed one hears nothing", () => {
  const { emitter } = emitterWithErrors();
  const heard: string[] = [];
  let offLast = () => {};
  emitter.on("tick", ({ count }) => {
    heard.push(`first${count}`);
    offLast();
    if (count === 1) emitter.on("tick", (event) => heard.push(`added${event.count}`));
  });
  offLast = emitter.on("tick", () => heard.push("removed"));
  emitter.emit("tick", { count: 1 });
  emitter.emit("tick", { count: 2 });
  expect(heard).toEqual(["first1", "first2", "added2"]);
});
