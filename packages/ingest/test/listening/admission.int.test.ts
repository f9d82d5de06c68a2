import { waitFor } from "@millrace/core/testing";
import { selfSigned } from "@millrace/services";
import { describe, expect, it } from "vitest";
import { frame, sendAsOfficialClient, TestClient } from "../support/client.ts";
import { runServer } from "../support/running-server.ts";

describe("allow and deny", () => {
  it("an address that allow does not have is told 5:ERROR and closed, nothing stored", async () => {
    const running = await runServer({ allow: ["10.0.0.0/8", "fd00::/8"] });
    const client = await TestClient.open(running.address);
    await client.expectEnd("5:ERROR");
    expect(running.server.status().refusals.address).toBe(1);
    expect(running.server.status().openConnections).toBe(0);
  });

  it("ranges and single addresses of allow come in", async () => {
    const range = await runServer({ allow: ["10.0.0.7", "127.0.0.0/8"] });
    expect(await sendAsOfficialClient(range.address, "[1]")).toBe("2:OK");
    const single = await runServer({ allow: ["127.0.0.1"] });
    expect(await sendAsOfficialClient(single.address, "[1]")).toBe("2:OK");
  });

  it("deny wins over allow", async () => {
    const running = await runServer({ allow: ["127.0.0.0/8"], deny: ["127.0.0.1"] });
    await (await TestClient.open(running.address)).expectEnd("5:ERROR");
  });

  it("an IPv4 client of an IPv6 socket is known by its IPv4 address", async () => {
    const running = await runServer({ host: "::", deny: ["127.0.0.0/8"] });
    await (await TestClient.open(running.address)).expectEnd("5:ERROR");
    const other = await runServer({ host: "::", allow: ["127.0.0.1"] });
    expect(await sendAsOfficialClient(other.address, "[1]")).toBe("2:OK");
  });

  it("comes before the TLS handshake, of which a stranger sees nothing", async () => {
    const running = await runServer({ tls: selfSigned(), deny: ["127.0.0.1"] });
    await (await TestClient.open(running.address)).expectEnd("");
    expect(running.server.status().refusals).toMatchObject({ address: 1, tls: 0 });
  });

  it("a flood of strangers takes no place from those who may connect", async () => {
    const running = await runServer({ deny: ["127.0.0.1"], limits: { maxConnections: 1 } });
    const strangers = await Promise.all(
      Array.from({ length: 200 }, () => TestClient.open(running.address)),
    );
    await waitFor(() => running.server.status().refusals.address === 200);
    expect(running.server.status().openConnections).toBe(0);
    for (const { socket } of strangers) socket.destroy();
  });
});

describe("limits.maxConnectionsPerAddress", () => {
  it("refuses one connection too many and takes the next when one has closed", async () => {
    const running = await runServer({ limits: { maxConnectionsPerAddress: 2 } });
    const first = await TestClient.open(running.address);
    const second = await TestClient.open(running.address);
    await waitFor(() => running.server.status().openConnections === 2);
    expect(await sendAsOfficialClient(running.address, "[1]")).toBe("5:ER");
    expect(running.server.status().refusals).toMatchObject({
      too_many_connections_per_address: 1,
      too_many_connections: 0,
    });
    expect(running.server.health()).toEqual({ healthy: true });
    first.socket.destroy();
    await waitFor(() => running.server.status().openConnections === 1);
    expect(await sendAsOfficialClient(running.address, "[2]")).toBe("2:OK");
    second.send(frame("[3]"));
    await second.expect("2:OK");
    second.socket.destroy();
  });
});
