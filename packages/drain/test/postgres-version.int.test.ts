import { combineSchemas, migrate, postgres } from "@millrace/drain";
import { nightwatch } from "@millrace/drain/nightwatch";
import { otel } from "@millrace/drain/otel";
import { expect, it } from "vitest";
import { emptyDatabase } from "./fixtures/empty-database.ts";

it("every table of both presets is made on this server, which is the version that it should be", async ({
  task,
}) => {
  const { url, query } = await emptyDatabase();
  const [server] = await query<{ major: number }>(
    "SELECT current_setting('server_version_num')::int / 10000 AS major",
  );
  const wanted = task.file.projectName === "postgres-14" ? 14 : 18;
  // One that MILLRACE_TEST_POSTGRES_URL names may be of any version that is supported.
  const isOurs = (process.env["MILLRACE_TEST_POSTGRES_URL"] ?? "") === "";
  expect(server?.major).toSatisfy((major: number) => (isOurs ? major === wanted : major >= 14));
  const options = {
    destination: postgres({ connectionString: url }),
    schema: combineSchemas(nightwatch({ alerts: true, retain: "30 days" }), otel()),
  };
  expect(await migrate(options)).toBe(true);
  expect(await migrate(options)).toBe(false);
});
