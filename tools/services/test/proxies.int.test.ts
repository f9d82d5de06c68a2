import { createServer, connect, type AddressInfo, type Server, type Socket } from "node:net";
import { once } from "node:events";
import { startHaproxy, startPgBouncer } from "@millrace/services";
import { Client } from "pg";
import { afterAll, beforeAll, describe, expect, inject, test } from "vitest";
import { createTestDatabase, type TestDatabase } from "../../../test/setup/database.ts";
import { waitUntil } from "../src/wait-until.ts";
import { query } from "./fixtures/query.ts";

describe("startPgBouncer", () => {
  let database: TestDatabase;

  beforeAll(async () => {
    database = await createTestDatabase();
  });

  afterAll(async () => {
    await database.drop();
  });

  test("in transaction mode two clients take turns on one server connection", async () => {
    await using pooler = await startPgBouncer({ upstream: database.url, poolSize: 1 });
    const clients = [pooler.url(), pooler.url()].map(
      (connectionString) => new Client({ connectionString }),
    );
    try {
      const backends = [];
      for (const client of clients) {
        await client.connect();
        const { rows } = await client.query<{ pid: number }>("SELECT pg_backend_pid() AS pid");
        backends.push(rows[0]?.pid);
      }

      expect(backends[0]).toBeTypeOf("number");
      expect(backends[1]).toBe(backends[0]);
    } finally {
      await Promise.all(clients.map((client) => client.end()));
    }
  });

  test("a killed pooler starts again on its port", async () => {
    await using pooler = await startPgBouncer({ upstream: { url: inject("postgresUrl") } });
    const { port } = pooler;

    await pooler.kill();
    await expect(query(pooler.url(), "SELECT 1")).rejects.toThrow("ECONNREFUSED");
    await pooler.start();

    expect(pooler.port).toBe(port);
    expect(await query(pooler.url(), "SELECT 1 AS one")).toEqual([{ one: 1 }]);
    await pooler.stop();
    expect(pooler.isRunning).toBe(false);
  });
});

describe("startHaproxy", () => {
  const servers: Server[] = [];
  const sockets = new Set<Socket>();

  afterAll(() => {
    for (const socket of sockets) socket.destroy();
    for (const server of servers) server.close();
  });

  async function greet(name: string): Promise<{ host: string; port: number }> {
    const server = createServer((socket) => {
      sockets.add(socket);
      socket.on("error", () => undefined);
      socket.write(name);
    });
    servers.push(server);
    server.listen(0, "127.0.0.1");
    await once(server, "listening");
    const { address, port } = server.address() as AddressInfo;
    return { host: address, port };
  }

  async function greeting(port: number): Promise<string> {
    const socket = connect({ port, host: "127.0.0.1" });
    sockets.add(socket);
    const [name] = (await once(socket, "data")) as [Buffer];
    return name.toString();
  }

  test("open connections spread over the backends, and a dead one is left out", async () => {
    const backends = [await greet("one"), await greet("two")];
    await using balancer = await startHaproxy({ backends });

    const spread = [await greeting(balancer.port), await greeting(balancer.port)];
    expect(spread.toSorted()).toEqual(["one", "two"]);
    servers[0]?.close();
    await waitUntil(async () => (await balancer.stats())[0]?.isUp === false, {
      description: "HAProxy notices the dead backend",
    });

    const [dead, alive] = await balancer.stats();
    expect(dead).toMatchObject({ ...backends[0], isUp: false, totalConnections: 1 });
    expect(alive).toMatchObject({ ...backends[1], isUp: true });
    expect(await greeting(balancer.port)).toBe("two");
  });
});
