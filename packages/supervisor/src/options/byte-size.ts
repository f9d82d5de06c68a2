import * as z from "zod";

const UNITS: Record<string, number> = {
  b: 1,
  kb: 1e3,
  mb: 1e6,
  gb: 1e9,
  tb: 1e12,
  kib: 2 ** 10,
  mib: 2 ** 20,
  gib: 2 ** 30,
  tib: 2 ** 40,
};

/** Bytes in `"400MB"` (decimal), `"512MiB"` (binary) or a plain number; `undefined` if it is none. */
export function parseByteSize(size: string | number): number | undefined {
  if (typeof size === "number") return Number.isFinite(size) && size > 0 ? size : undefined;
  const match = /^\s*(\d+(?:\.\d+)?)\s*([kmgt]?i?b)?\s*$/i.exec(size);
  const unit = UNITS[(match?.[2] ?? "b").toLowerCase()];
  if (match === null || unit === undefined) return undefined;
  const bytes = Math.floor(Number(match[1]) * unit);
  return bytes > 0 ? bytes : undefined;
}

/** A schema that takes bytes as a number or with a unit and gives the number. */
export const byteSizeSchema = z.union([z.string(), z.number()]).transform((size, context) => {
  const bytes = parseByteSize(size);
  if (bytes !== undefined) return bytes;
  context.addIssue({ code: "custom", message: "expected bytes, as 1048576, '400MB' or '512MiB'" });
  return z.NEVER;
});
