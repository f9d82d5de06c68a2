import * as z from "zod";

const REDACTED = "[redacted]";

/**
 * A copy of `value` fit for logs: every field whose schema carries `.meta({ secret: true })` is
 * replaced.
 */
export function redactSecrets(schema: z.ZodType, value: unknown): unknown {
  if (value === undefined || value === null || value === REDACTED) return value;
  if (schema.meta()?.["secret"] === true) return REDACTED;
  const inner = innerSchemas(schema);
  // Each may know of secrets that the others do not.
  if (inner.length > 0)
    return inner.reduce<unknown>((rest, each) => redactSecrets(each, rest), value);
  if (schema instanceof z.ZodArray && Array.isArray(value)) {
    return mapped(value, (element) => redactSecrets(schema.element as z.ZodType, element));
  }
  if (schema instanceof z.ZodTuple && Array.isArray(value)) {
    const items = schema.def.items as z.ZodType[];
    const rest = schema.def.rest as z.ZodType | null;
    return mapped(value, (element, index) => {
      const item = items[index] ?? rest;
      return item ? redactSecrets(item, element) : element;
    });
  }
  if (typeof value !== "object") return value;
  if (schema instanceof z.ZodRecord) {
    return mappedFields(value, (_, field) => redactSecrets(schema.valueType as z.ZodType, field));
  }
  if (schema instanceof z.ZodObject) {
    const shape: Record<string, z.ZodType | undefined> = schema.shape;
    return mappedFields(value, (key, field) => {
      const fieldSchema = shape[key] ?? (schema.def.catchall as z.ZodType | undefined);
      return fieldSchema ? redactSecrets(fieldSchema, field) : field;
    });
  }
  return value;
}

/** Schemas that describe the same value as a wrapping one. */
function innerSchemas(schema: z.ZodType): z.ZodType[] {
  if (schema instanceof z.ZodPipe) return [schema.in, schema.out] as z.ZodType[];
  if (schema instanceof z.ZodUnion) return schema.options as z.ZodType[];
  if (schema instanceof z.ZodIntersection)
    return [schema.def.left, schema.def.right] as z.ZodType[];
  if (
    schema instanceof z.ZodOptional ||
    schema instanceof z.ZodDefault ||
    schema instanceof z.ZodPrefault ||
    schema instanceof z.ZodNullable ||
    schema instanceof z.ZodReadonly ||
    schema instanceof z.ZodCatch ||
    schema instanceof z.ZodNonOptional ||
    schema instanceof z.ZodLazy
  ) {
    return [schema.unwrap() as z.ZodType];
  }
  return [];
}

/** `values` itself when nothing in it changed, so that callers can tell. */
function mapped(values: unknown[], change: (value: unknown, index: number) => unknown): unknown[] {
  const changed = values.map(change);
  return changed.some((value, index) => value !== values[index]) ? changed : values;
}

function mappedFields(value: object, change: (key: string, field: unknown) => unknown): object {
  const entries = Object.entries(value);
  const changed = entries.map(([key, field]): [string, unknown] => [key, change(key, field)]);
  return changed.some(([, field], index) => field !== entries[index]?.[1])
    ? Object.fromEntries(changed)
    : value;
}
