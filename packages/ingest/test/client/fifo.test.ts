import fc from "fast-check";
import { expect, it } from "vitest";
import { Fifo } from "../../src/client/fifo.ts";

it("a queue does what an array does, whatever the order of operations", () => {
  const operation = fc.oneof(
    { weight: 3, arbitrary: fc.record({ push: fc.integer({ min: 1, max: 900 }) }) },
    { weight: 3, arbitrary: fc.record({ shift: fc.integer({ min: 1, max: 900 }) }) },
    { weight: 1, arbitrary: fc.constant({ unshift: true }) },
  );
  fc.assert(
    fc.property(fc.array(operation, { maxLength: 30 }), (operations) => {
      const queue = new Fifo<number>();
      const model: number[] = [];
      let next = 0;
      for (const step of operations) {
        if ("push" in step) {
          for (let count = step.push; count > 0; count--) {
            queue.push(next);
            model.push(next++);
          }
        } else if ("shift" in step) {
          for (let count = step.shift; count > 0; count--) {
            expect(queue.shift()).toBe(model.shift());
          }
        } else {
          queue.unshift(next);
          model.unshift(next++);
        }
        expect(queue.size).toBe(model.length);
        expect(queue.first).toBe(model[0]);
      }
      expect([...queue]).toEqual(model);
    }),
    { numRuns: 50 },
  );
});
