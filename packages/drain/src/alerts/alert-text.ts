import type { Alert, AlertMessage } from "./alert.ts";

/** Alerts that a grouped message names; the others are counted. */
const LISTED_ALERTS = 20;
const MAX_TITLE = 200;
const MAX_MESSAGE = 500;

/** One line on what a message is about. */
export function messageTitle({ alerts }: AlertMessage): string {
  const [first] = alerts;
  if (alerts.length === 1) return cut(`${label(first)}: ${alertTitle(first)}`, MAX_TITLE);
  const fresh = alerts.filter(({ kind }) => kind === "issue.new").length;
  const parts = [
    ...(fresh > 0 ? [`${fresh} new`] : []),
    ...(fresh < alerts.length ? [`${alerts.length - fresh} reopened`] : []),
  ];
  return `${parts.join(" and ")} issues`;
}

/** What the issue calls itself. */
function alertTitle({ issue, source }: Alert): string {
  return field(issue, "class") ?? field(issue, "title") ?? source;
}

/** What is known of one issue, a line each. */
function alertLines(alert: Alert): string[] {
  const { issue } = alert;
  const file = field(issue, "file");
  const line = field(issue, "line");
  const message = field(issue, "message");
  return [
    ...(message === undefined ? [] : [cut(message, MAX_MESSAGE)]),
    ...(file === undefined ? [] : [`at ${file}${line === undefined ? "" : `:${line}`}`]),
    `seen ${field(issue, "occurrences") ?? "1"} times, last at ${field(issue, "last_seen_at") ?? alert.createdAt.toISOString()}, token ${field(issue, "token") ?? "unknown"}`,
    ...(alert.url === undefined ? [] : [alert.url]),
  ];
}

/** The alerts of a grouped message, a line each. */
function digestLines({ alerts }: AlertMessage): string[] {
  const lines = alerts.slice(0, LISTED_ALERTS).map((alert) => {
    const message = field(alert.issue, "message");
    return cut(
      `${label(alert)}: ${alertTitle(alert)}${message === undefined ? "" : `: ${message}`}`,
      MAX_TITLE,
    );
  });
  const rest = alerts.length - lines.length;
  return rest > 0 ? [...lines, `and ${rest} more`] : lines;
}

/** The body of a message as plain text. */
export function messageText(message: AlertMessage): string {
  const [first] = message.alerts;
  return (message.alerts.length === 1 ? alertLines(first) : digestLines(message)).join("\n");
}

/** At most `length` characters, without cutting one in half. */
export function cut(text: string, length: number): string {
  if (text.length <= length) return text;
  return `${text.slice(0, length - 1).replace(/[\uD800-\uDBFF]$/, "")}…`;
}

function label({ kind }: Alert): string {
  return kind === "issue.new" ? "New issue" : "Reopened issue";
}

function field(issue: Alert["issue"], name: string): string | undefined {
  const value = issue[name];
  return typeof value === "string" || typeof value === "number" ? String(value) : undefined;
}
