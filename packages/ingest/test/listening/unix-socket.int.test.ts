import { existsSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { sendAsOfficialClient } from "../support/client.ts";
import { runServer } from "../support/running-server.ts";
import { startServerProcess } from "../support/server-process.ts";
import { temporaryFolder } from "../support/temporary-folder.ts";

function temporaryPath(): string {
  return join(temporaryFolder(), "ingest.sock");
}

describe("socket", () => {
  it("listens on a Unix socket with the mode that was asked for, and removes it on close", async () => {
    const path = temporaryPath();
    const running = await runServer({ socket: path });
    expect(statSync(path).mode & 0o777).toBe(0o660);
    expect(await sendAsOfficialClient({ path }, "[1]")).toBe("2:OK");
    expect(await sendAsOfficialClient({ path }, "")).toBe("5:ER");
    expect(running.stored()).toHaveLength(1);
    expect(() => running.server.address()).toThrowError(path);
    await running.server.close();
    expect(existsSync(path)).toBe(false);
  });

  it("socketMode sets who may connect", async () => {
    const path = temporaryPath();
    await runServer({ socket: path, socketMode: 0o600 });
    expect(statSync(path).mode & 0o777).toBe(0o600);
  });

  it("takes over the socket file that a killed process left behind", async () => {
    const path = temporaryPath();
    const killed = await startServerProcess({ socket: path });
    expect(await sendAsOfficialClient({ path }, "[1]")).toBe("2:OK");
    await killed.kill();
    expect(existsSync(path)).toBe(true);
    await runServer({ socket: path });
    expect(await sendAsOfficialClient({ path }, "[2]")).toBe("2:OK");
  });

  it("leaves a living server alone", async () => {
    const path = temporaryPath();
    await runServer({ socket: path });
    await expect(runServer({ socket: path })).rejects.toMatchObject({
      code: "INGEST_LISTEN_FAILED",
      message: expect.stringContaining("another process answers there"),
    });
    expect(await sendAsOfficialClient({ path }, "[1]")).toBe("2:OK");
  });

  it("never removes a file that is no socket, and says when the folder is missing", async () => {
    const path = temporaryPath();
    writeFileSync(path, "precious");
    await expect(runServer({ socket: path })).rejects.toMatchObject({
      code: "INGEST_LISTEN_FAILED",
    });
    expect(existsSync(path)).toBe(true);
    await expect(runServer({ socket: `${path}.d/x` })).rejects.toMatchObject({
      message: expect.stringContaining("make the folder"),
    });
  });
});
