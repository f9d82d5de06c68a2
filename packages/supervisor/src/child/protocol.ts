/** Marks IPC messages of the supervisor among those of the application. */
const PROTOCOL_KEY = "millrace";

/** What a child that uses `@millrace/supervisor/child` tells its supervisor. */
export type ChildMessage =
  | { millrace: "hello" }
  | { millrace: "ready" }
  | { millrace: "heartbeat"; busy: number; eventLoopUtilisation: number }
  | { millrace: "drain-progress"; busy: number }
  | { millrace: "drain-extend"; byMs: number }
  | { millrace: "drained" };

/** What a supervisor tells such a child. */
export type SupervisorMessage = { millrace: "drain"; deadlineMs: number };

/** The message, if it is one of ours and well-formed; children are not trusted to be. */
export function parseChildMessage(message: unknown): ChildMessage | undefined {
  if (typeof message !== "object" || message === null || !(PROTOCOL_KEY in message))
    return undefined;
  const fields = message as Record<string, unknown>;
  switch (fields[PROTOCOL_KEY]) {
    case "hello":
    case "ready":
    case "drained":
      return { millrace: fields[PROTOCOL_KEY] };
    case "heartbeat":
      return {
        millrace: "heartbeat",
        busy: nonNegative(fields["busy"]),
        eventLoopUtilisation: nonNegative(fields["eventLoopUtilisation"]),
      };
    case "drain-progress":
      return { millrace: "drain-progress", busy: nonNegative(fields["busy"]) };
    case "drain-extend":
      return { millrace: "drain-extend", byMs: nonNegative(fields["byMs"]) };
    default:
      return undefined;
  }
}

/** The drain request, if `message` is one. */
export function parseSupervisorMessage(message: unknown): SupervisorMessage | undefined {
  if (typeof message !== "object" || message === null || !(PROTOCOL_KEY in message))
    return undefined;
  const fields = message as Record<string, unknown>;
  if (fields[PROTOCOL_KEY] !== "drain") return undefined;
  return { millrace: "drain", deadlineMs: nonNegative(fields["deadlineMs"]) };
}

function nonNegative(value: unknown): number {
  return typeof value === "number" && Number.isFinite(value) && value > 0 ? value : 0;
}
