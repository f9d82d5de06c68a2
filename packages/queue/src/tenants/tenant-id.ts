import { configInvalid } from "@millrace/core";

/** Letters, digits, `_`, `.`, `@` and `-`: an id must not contain what separates keys. */
const TENANT_ID = /^[A-Za-z0-9_.@-]{1,128}$/;

/** @throws {@link MillraceError} `CONFIG_INVALID` for anything that cannot be a tenant id. */
export function assertTenantId(tenantId: unknown): asserts tenantId is string {
  if (typeof tenantId === "string" && TENANT_ID.test(tenantId)) return;
  throw configInvalid("tenantId", [
    {
      path: "tenantId",
      problem: "expected 1 to 128 letters, digits, _ . @ or -",
    },
  ]);
}
