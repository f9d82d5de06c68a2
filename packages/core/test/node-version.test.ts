import { expect, test } from "vitest";
import { assertNodeVersion } from "../src/node-version.ts";

test.each(["22.19.0", "22.19.0-nightly", "22.20.1", "23.0.0", "24.11.0", "100.0.0"])(
  "Node.js %s is accepted",
  (version) => {
    expect(assertNodeVersion(version)).toBeUndefined();
  },
);

test.each(["20.20.2", "22.18.9", "22.2.0", "18.0.0", "nonsense"])(
  "Node.js %s is refused with a way out",
  (version) => {
    expect(() => assertNodeVersion(version)).toThrow(
      expect.objectContaining({
        code: "NODE_VERSION_UNSUPPORTED",
        message: expect.stringMatching(/22\.19 or newer.*npm install/),
      }),
    );
  },
);

test("this one is accepted", () => {
  expect(assertNodeVersion()).toBeUndefined();
});
