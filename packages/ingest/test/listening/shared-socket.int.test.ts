import { waitFor } from "@millrace/core/testing";
import { describe, expect, it } from "vitest";
import { bindSocket } from "../support/bound-socket.ts";
import { sendAsOfficialClient } from "../support/client.ts";
import { runServer } from "../support/running-server.ts";
import { startServerProcess } from "../support/server-process.ts";

describe("reusePort", () => {
  it("two processes on one port share the connections", async () => {
    const first = await startServerProcess({ port: 0, reusePort: true });
    const second = await startServerProcess({ port: first.port, reusePort: true });
    const send = async (worker: number) => {
      for (let count = 0; count < 50; count++) {
        expect(await sendAsOfficialClient(first, `[${worker},${count}]`)).toBe("2:OK");
      }
    };
    await Promise.all([0, 1, 2, 3].map(send));
    await Promise.all([first.kill(), second.kill()]);
    const [one, two] = [first.stored().length, second.stored().length];
    expect(Math.min(one, two)).toBeGreaterThan(0);
    expect(one + two).toBe(200);
  });

  it("a process that does not ask for it cannot join", async () => {
    const running = await runServer({ reusePort: true });
    await expect(runServer({ port: running.address.port })).rejects.toMatchObject({
      code: "INGEST_LISTEN_FAILED",
      details: { code: "EADDRINUSE" },
    });
  });
});

describe("listen", () => {
  it("children serve the socket that they inherited; one that dies is replaced without a gap", async () => {
    const { holder, port, fd } = await bindSocket();
    const serve = () => startServerProcess({ listen: { fd: 3 } }, fd);
    const [old, replacement] = await Promise.all([serve(), serve()]);
    expect([old.port, replacement.port]).toEqual([port, port]);
    await new Promise((resolve) => holder.close(resolve));
    await old.kill();
    for (let count = 0; count < 20; count++) {
      expect(await sendAsOfficialClient({ port }, `[${count}]`)).toBe("2:OK");
    }
    await replacement.kill();
    expect(replacement.stored()).toHaveLength(20);
  });

  it("takes a handle that is bound already, and closes it in the end", async () => {
    const { holder, port } = await bindSocket();
    const { server, address } = await runServer({ listen: { handle: holder } });
    expect(address.port).toBe(port);
    expect(await sendAsOfficialClient(address, "[1]")).toBe("2:OK");
    await server.close();
    await waitFor(() =>
      sendAsOfficialClient({ port }, "[2]").then(
        () => false,
        (error: NodeJS.ErrnoException) => error.code === "ECONNREFUSED",
      ),
    );
  });

  it("a descriptor that is no socket fails the start", async () => {
    await expect(runServer({ listen: { fd: 987_654 } })).rejects.toMatchObject({
      code: "INGEST_LISTEN_FAILED",
      message: expect.stringContaining("file descriptor 987654"),
    });
  });
});
