import { MillraceError } from "@millrace/core";
import type { SupervisorErrorCode } from "../errors.ts";

/** Values for `${NAME}`; `undefined` and the empty string count as unset. */
export type Variables = Readonly<Record<string, string | undefined>>;

const REFERENCE = /\$\$\{|\$\{([A-Za-z_][A-Za-z0-9_]*)(?::([-?])([^}]*))?\}/g;

/**
 * Replaces `${NAME}`, `${NAME:-default}` and `${NAME:?message}`; `$${` stays a literal `${`.
 *
 * @throws {@link MillraceError} `SUPERVISOR_VARIABLE_MISSING` for a variable that is unset and has
 * no default: an option that silently turns empty starts the wrong thing.
 */
export function interpolate(text: string, variables: Variables): string {
  return text.replaceAll(
    REFERENCE,
    (reference, name: string | undefined, operator: string | undefined, operand: string = "") => {
      if (name === undefined) return "${";
      const value = variables[name];
      if (value !== undefined && value !== "") return value;
      if (operator === "-") return operand;
      const reason = operator === "?" && operand !== "" ? `: ${operand}` : "";
      throw new MillraceError<SupervisorErrorCode>(
        "SUPERVISOR_VARIABLE_MISSING",
        `${reference} in ${JSON.stringify(text)} has no value${reason}; set ${name} or write \${${name}:-default}`,
        { details: { variable: name } },
      );
    },
  );
}
