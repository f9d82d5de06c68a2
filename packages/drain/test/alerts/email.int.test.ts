import { once } from "node:events";
import type { AddressInfo } from "node:net";
import { waitFor } from "@millrace/core/testing";
import { emailChannel } from "@millrace/drain/alerts";
import { selfSigned } from "@millrace/services";
import { SMTPServer, type SMTPServerOptions } from "smtp-server";
import { expect, it, onTestFinished } from "vitest";
import { alertedDatabase, deliveries, runDispatcher } from "./running-dispatcher.ts";

/** A real SMTP server that keeps what it is sent. */
async function mailServer(options: SMTPServerOptions = {}) {
  const mails: Array<{ from: string; to: string[]; text: string }> = [];
  const server = new SMTPServer({
    authOptional: true,
    logger: false,
    onAuth: ({ username, password }, _session, done) =>
      username === "alerts" && password === "right"
        ? done(null, { user: username })
        : done(new Error("wrong password")),
    onData: (stream, { envelope }, done) => {
      const chunks: Buffer[] = [];
      stream.on("data", (chunk: Buffer) => chunks.push(chunk));
      stream.on("end", () => {
        const { mailFrom, rcptTo } = envelope;
        mails.push({
          from: mailFrom === false ? "" : mailFrom.address,
          to: rcptTo.map(({ address }) => address),
          text: Buffer.concat(chunks).toString(),
        });
        done();
      });
    },
    ...options,
  });
  server.on("error", () => {});
  server.listen(0, "127.0.0.1");
  await once(server.server, "listening");
  onTestFinished(() => new Promise<void>((resolve) => server.close(() => resolve())));
  const { port } = server.server.address() as AddressInfo;
  return { port, mails };
}

const addresses = {
  host: "127.0.0.1",
  from: "Alerts <alerts@shop.example>",
  to: ["one@shop.example", "two@shop.example"],
};

it("mails go out over STARTTLS with a login, and not to a server that nobody vouches for", async () => {
  const { cert, key } = selfSigned();
  const { port, mails } = await mailServer({ cert, key });
  const database = await alertedDatabase(["a"]);
  const auth = { user: "alerts", password: "right" };
  const { dispatcher, logger } = await runDispatcher(database.url, [
    emailChannel({ ...addresses, port, ca: cert, auth }),
    emailChannel({ ...addresses, port, auth, name: "untrusted" }),
    emailChannel({
      ...addresses,
      port,
      ca: cert,
      auth: { user: "alerts", password: "wrong-one" },
      name: "locked out",
    }),
  ]);
  await waitFor(() => mails.length === 1);
  await waitFor(() => (dispatcher.status().channels["untrusted"]?.failedTries ?? 0) > 0);
  await waitFor(() => (dispatcher.status().channels["locked out"]?.failedTries ?? 0) > 0);
  await waitFor(async () => (await deliveries(database))["email sent"] === 1);
  const [mail] = mails;
  expect(mail).toMatchObject({ from: "alerts@shop.example", to: addresses.to });
  expect(mail?.text).toContain("Subject: New issue: App\\Broken");
  expect(mail?.text).toContain("broken a");
  expect(mail?.text).toMatch(/Message-ID: <[0-9a-f-]{36}@millrace>/i);
  expect(JSON.stringify(logger.lines)).not.toContain("wrong-one");
  expect(mails).toHaveLength(1);
});

it("a mail that the server will never take is not repeated, one that it defers is", async () => {
  let tries = 0;
  const refusing = await mailServer({
    onMailFrom: (_address, _session, done) =>
      done(Object.assign(new Error("too much"), { responseCode: 552 })),
  });
  const deferring = await mailServer({
    onMailFrom: (_address, _session, done) =>
      ++tries < 3 ? done(Object.assign(new Error("later"), { responseCode: 451 })) : done(),
  });
  const database = await alertedDatabase(["a"]);
  await runDispatcher(database.url, [
    emailChannel({ ...addresses, port: refusing.port, tls: "none", name: "refusing" }),
    emailChannel({ ...addresses, port: deferring.port, tls: "none", name: "deferring" }),
  ]);
  await waitFor(async () => (await deliveries(database))["deferring sent"] === 1);
  expect(tries).toBe(3);
  expect(deferring.mails).toHaveLength(1);
  expect(await deliveries(database)).toMatchObject({ "refusing rejected": 1 });
});
