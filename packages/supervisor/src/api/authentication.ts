import { createHash, timingSafeEqual } from "node:crypto";
import type { ResolvedApiOptions } from "../options/supervisor-options.ts";
import { ApiError } from "./api-error.ts";

/** What a token may do. */
export type Scope = "read" | "write";

interface KnownToken {
  name: string;
  digest: Buffer;
  scopes: readonly Scope[];
}

/** Checks bearer tokens in constant time. Without tokens everyone who can connect may do anything. */
export class Authentication {
  readonly #tokens: readonly KnownToken[];

  constructor(tokens: ResolvedApiOptions["tokens"]) {
    this.#tokens = tokens.map(({ name, token, scopes }) => ({
      name,
      digest: digest(token),
      scopes,
    }));
  }

  get required(): boolean {
    return this.#tokens.length > 0;
  }

  /**
   * The name of the token, for the log.
   *
   * @throws ApiError 401 without a known token, 403 when its scope is too small.
   */
  check(authorization: string | undefined, scope: Scope): string {
    if (!this.required) return "anonymous";
    const presented = /^Bearer +(\S+)$/i.exec(authorization ?? "")?.[1];
    if (presented === undefined) {
      throw new ApiError(401, "UNAUTHORIZED", "send an Authorization: Bearer header with a token");
    }
    const hashed = digest(presented);
    let match: KnownToken | undefined;
    // Every token is compared, so that the time doesn't tell which one came close.
    for (const token of this.#tokens) {
      if (timingSafeEqual(token.digest, hashed)) match = token;
    }
    if (match === undefined) throw new ApiError(401, "UNAUTHORIZED", "the token is not known");
    if (!match.scopes.includes(scope)) {
      throw new ApiError(403, "FORBIDDEN", `the token lacks the scope ${scope}`);
    }
    return match.name;
  }
}

function digest(token: string): Buffer {
  return createHash("sha256").update(token).digest();
}
