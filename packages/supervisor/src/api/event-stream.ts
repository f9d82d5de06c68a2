import type { EventJournal, JournalEntry } from "../event-journal.ts";

const KEEP_ALIVE_MS = 15_000;
// Events that may wait for a slow reader before its connection is ended; it can come back.
const MAX_QUEUED = 1_000;

/** Streams events as SSE, from `lastEventId` on as far as they are still kept. */
export function streamEvents(
  journal: EventJournal,
  lastEventId: string | undefined,
  signal: AbortSignal,
): Response {
  const encoder = new TextEncoder();
  const ending = new AbortController();
  const end = (): void => ending.abort();
  const body = new ReadableStream<Uint8Array>(
    {
      start(controller) {
        const send = (entry: JournalEntry): void => {
          if ((controller.desiredSize ?? 0) < 1 - MAX_QUEUED) {
            end();
            return;
          }
          controller.enqueue(encoder.encode(format(entry)));
        };
        controller.enqueue(encoder.encode("retry: 1000\n\n"));
        const after = Number(lastEventId);
        if (lastEventId !== undefined && Number.isFinite(after)) {
          for (const entry of journal.since(after)) send(entry);
        }
        const unsubscribe = journal.subscribe(send);
        const timer = setInterval(
          () => controller.enqueue(encoder.encode(": alive\n\n")),
          KEEP_ALIVE_MS,
        );
        timer.unref();
        signal.addEventListener("abort", end);
        ending.signal.addEventListener("abort", () => {
          unsubscribe();
          clearInterval(timer);
          signal.removeEventListener("abort", end);
          closeQuietly(controller);
        });
      },
      cancel: end,
    },
    { highWaterMark: 1 },
  );
  return new Response(body, {
    headers: { "Content-Type": "text/event-stream", "Cache-Control": "no-store" },
  });
}

function closeQuietly(controller: ReadableStreamDefaultController<Uint8Array>): void {
  try {
    controller.close();
  } catch {
    // The reader has gone already.
  }
}

function format({ id, event, time, payload }: JournalEntry): string {
  return `id: ${id}\nevent: ${event}\ndata: ${JSON.stringify({ time, ...payload })}\n\n`;
}
