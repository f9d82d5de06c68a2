import { expect, it } from "vitest";
import { listenFailed } from "../../src/listening/listen-error.ts";

const target = { host: "127.0.0.1", port: 2407, socketMode: 0o660, reusePort: true };

it("a platform without SO_REUSEPORT is named as the cause, with the way out", () => {
  const cause = Object.assign(new Error("bind ENOTSUP"), { code: "ENOTSUP" });
  expect(listenFailed(cause, target)).toMatchObject({
    code: "INGEST_REUSE_PORT_UNSUPPORTED",
    message: expect.stringMatching(/cannot share port 2407.*leave reusePort out/),
    cause,
  });
});

it("without reusePort the same errno is an ordinary failure", () => {
  const cause = Object.assign(new Error("bind ENOTSUP"), { code: "ENOTSUP" });
  expect(listenFailed(cause, { ...target, reusePort: false }).code).toBe("INGEST_LISTEN_FAILED");
});
