import { spawn } from "node:child_process";
import { join } from "node:path";
import { waitFor } from "@millrace/core/testing";
import type { IngestOptions } from "@millrace/ingest";
import { selfSigned } from "@millrace/services";
import { describe, expect, it, onTestFinished } from "vitest";
import { bindSocket } from "../support/bound-socket.ts";
import { runServer } from "../support/running-server.ts";
import { temporaryFolder } from "../support/temporary-folder.ts";

const certificate = selfSigned();

describe("the self-probe", () => {
  it("is answered on every kind of socket, and counts as no refusal", async () => {
    const folder = temporaryFolder();
    const kinds: Array<Partial<IngestOptions>> = [
      { host: "0.0.0.0" },
      { tokens: [{ name: "shop", token: "secret" }] },
      { socket: join(folder, "probe.sock") },
      { tls: certificate },
      // Lets in neither the address nor the lack of a certificate of the probe.
      {
        tls: { ...certificate, ca: certificate.cert, requestCert: true },
        allow: ["10.0.0.0/8"],
        limits: { maxConnectionsPerAddress: 1 },
      },
    ];
    const servers = await Promise.all(
      kinds.map((options) => runServer({ probeIntervalMs: 1_000, ...options })),
    );
    for (const running of servers) {
      const { server, metrics } = running;
      const text = await waitFor(async () => {
        const exposed = await metrics.metrics();
        return /millrace_ingest_probes_total\{outcome="answered"\} [1-9]/.test(exposed) && exposed;
      });
      expect(text).toContain('probes_total{outcome="failed"} 0');
      expect(server.health()).toEqual({ healthy: true });
      const counts = new Set(Object.values(server.status().refusals));
      expect(counts).toEqual(new Set([0]));
      expect(running.stored()).toEqual([]);
    }
  });

  it("shows a listener that takes connections and never answers", async () => {
    const { holder, fd } = await bindSocket();
    // Keeps the socket listening in the kernel when this process has closed it.
    const keeper = spawn("sleep", ["60"], { stdio: ["ignore", "ignore", "ignore", fd] });
    onTestFinished(() => {
      keeper.kill("SIGKILL");
    });
    const running = await runServer({
      listen: { handle: holder },
      probeIntervalMs: 250,
    });
    await waitFor(() => running.server.status().pings >= 1);
    expect(running.server.health()).toEqual({ healthy: true });
    holder.close();
    const reason = await waitFor(() => running.server.health().reason);
    expect(reason).toMatch(
      /listens on 127\.0\.0\.1:\d+ but does not answer: .*no reply within 250 ms/,
    );
    expect(running.logger.lines.filter(({ level }) => level === "error")).toHaveLength(1);
    expect(await running.metrics.metrics()).toMatch(/probes_total\{outcome="failed"\} [2-9]/);
  });

  it("0 turns it off", async () => {
    const running = await runServer({ probeIntervalMs: 0 });
    expect(await running.metrics.metrics()).not.toContain('probes_total{outcome="answered"}');
  });
});
