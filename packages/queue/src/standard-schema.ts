/** The part of the Standard Schema interface (standardschema.dev, version 1) that is used here; zod schemas fit. */
export interface StandardSchema<Output> {
  readonly "~standard": {
    readonly version: 1;
    readonly validate: (value: unknown) => StandardResult<Output> | Promise<StandardResult<Output>>;
  };
}

type StandardResult<Output> =
  | { readonly value: Output; readonly issues?: undefined }
  | { readonly issues: ReadonlyArray<StandardIssue> };

interface StandardIssue {
  readonly message: string;
  readonly path?: ReadonlyArray<PropertyKey | { readonly key: PropertyKey }> | undefined;
}

/** Validates; gives the value back, or the issues as lines without the values, which may be secret. */
export async function validate<Output>(
  schema: StandardSchema<Output> | undefined,
  value: unknown,
): Promise<{ value: Output } | { problems: string[] }> {
  if (schema === undefined) return { value: value as Output };
  const result = await schema["~standard"].validate(value);
  if (result.issues === undefined) return { value: result.value };
  return {
    problems: result.issues.map(({ message, path }) => {
      const place = (path ?? []).map((part) => String(typeof part === "object" ? part.key : part));
      return `${place.join(".") || "(value)"}: ${message}`;
    }),
  };
}
