import { LogThrottle, silentLogger } from "@millrace/core";
import { waitFor } from "@millrace/core/testing";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import type { SendResult, UpstreamLink } from "../../src/mirror/upstream-link.ts";
import { UpstreamMirror } from "../../src/mirror/upstream-mirror.ts";

/** A link whose copies wait until the test says what became of them. */
class HeldLink implements UpstreamLink {
  readonly inHand: Array<(result: SendResult) => void> = [];
  readonly sent: number[] = [];

  send(payload: Uint8Array): Promise<SendResult> {
    this.sent.push(payload[0] ?? -1);
    return new Promise((resolve) => this.inHand.push(resolve));
  }

  async destroy(): Promise<void> {
    for (const resolve of this.inHand.splice(0)) resolve("broken");
  }
}

function makeUpstream(options: { concurrency?: number; maxQueueBytes?: number } = {}) {
  const link = new HeldLink();
  const upstream = new UpstreamMirror({
    name: "a",
    link,
    concurrency: options.concurrency ?? 2,
    maxQueueBytes: options.maxQueueBytes ?? 1_000,
    throttle: new LogThrottle(silentLogger),
  });
  const forward = (n: number, heldBytes = 100) =>
    upstream.forward({ payload: Buffer.from([n]), token: "t", heldBytes });
  return { link, upstream, forward };
}

const turn = () => new Promise((resolve) => setImmediate(resolve));

describe("UpstreamMirror", () => {
  it("has no more than `concurrency` copies on their way", async () => {
    const { link, forward } = makeUpstream();
    for (let n = 0; n < 5; n++) forward(n);
    expect(link.sent).toEqual([0, 1]);
    link.inHand.shift()?.("delivered");
    await turn();
    expect(link.sent).toEqual([0, 1, 2]);
  });

  it("drops the oldest copies that wait when its memory is used up", () => {
    const { link, upstream, forward } = makeUpstream({ maxQueueBytes: 500 });
    for (let n = 0; n < 9; n++) forward(n);
    expect(upstream.status()).toMatchObject({ queuedBytes: 500, payloads: { queue_full: 4 } });
    expect(link.sent).toEqual([0, 1]);
  });

  it("a copy that could never fit drops only itself", () => {
    const { upstream, forward } = makeUpstream();
    for (let n = 0; n < 4; n++) forward(n);
    forward(4, 1_001);
    expect(upstream.status()).toMatchObject({ queuedBytes: 400, payloads: { queue_full: 1 } });
  });

  it("after a failure it rests, then tries a single copy, then goes on in full", async () => {
    const { link, forward } = makeUpstream();
    for (let n = 0; n < 6; n++) forward(n);
    link.inHand.shift()?.("timed_out");
    link.inHand.shift()?.("timed_out");
    await turn();
    expect(link.sent).toEqual([0, 1]);
    await waitFor(() => link.sent.length > 2);
    expect(link.sent).toEqual([0, 1, 2]);
    link.inHand.shift()?.("delivered");
    await turn();
    expect(link.sent).toEqual([0, 1, 2, 3, 4]);
  });

  it("a copy of which nothing was sent is tried again; any other has one try", async () => {
    const { link, upstream, forward } = makeUpstream({ concurrency: 1 });
    forward(0);
    link.inHand.shift()?.("unreachable");
    await waitFor(() => link.sent.length === 2);
    expect(link.sent).toEqual([0, 0]);
    link.inHand.shift()?.("refused");
    await turn();
    expect(upstream.status()).toMatchObject({ queuedPayloads: 0, payloads: { refused: 1 } });
  });

  it("closing waits for the queue, and cuts it off when the signal fires", async () => {
    const { link, upstream, forward } = makeUpstream();
    const abort = new AbortController();
    for (let n = 0; n < 5; n++) forward(n);
    let isClosed = false;
    const closing = upstream.close(abort.signal).finally(() => {
      isClosed = true;
    });
    link.inHand.shift()?.("delivered");
    await turn();
    expect(isClosed).toBe(false);
    abort.abort();
    await closing;
    expect(upstream.status()).toEqual({
      payloads: { delivered: 1, refused: 0, timed_out: 0, broken: 0, queue_full: 0, closed: 4 },
      queuedPayloads: 0,
      queuedBytes: 0,
    });
    forward(9);
    expect(upstream.status()).toMatchObject({ queuedBytes: 0, payloads: { closed: 5 } });
  });

  it("loses count of nothing and stays in bounds, whatever happens in whatever order", async () => {
    const step = fc.oneof(
      fc.integer({ min: 1, max: 400 }),
      fc.constantFrom<SendResult>("delivered", "refused", "timed_out", "broken", "unreachable"),
    );
    await fc.assert(
      fc.asyncProperty(fc.array(step, { maxLength: 100 }), async (steps) => {
        const { link, upstream, forward } = makeUpstream();
        let given = 0;
        for (const action of steps) {
          if (typeof action === "number") {
            given++;
            forward(0, action);
          } else {
            link.inHand.shift()?.(action);
            await turn();
          }
          const { queuedBytes, queuedPayloads, payloads } = upstream.status();
          expect(queuedBytes).toBeLessThanOrEqual(1_000);
          const settled = Object.values(payloads).reduce((total, count) => total + count, 0);
          expect(settled + queuedPayloads).toBe(given);
        }
        await upstream.close(AbortSignal.abort());
        expect(upstream.status()).toMatchObject({ queuedBytes: 0, queuedPayloads: 0 });
      }),
      { numRuns: 50 },
    );
  });
});
