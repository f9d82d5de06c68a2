import { once } from "node:events";
import { connect } from "node:net";
import { setTimeout as delay } from "node:timers/promises";
import { Client } from "pg";
import type { FaultWorld } from "./fault-world.ts";

/** Does one bad thing to the world and, where that needs it, undoes it. `random` is in [0, 1). */
export type Fault = (world: FaultWorld, random: () => number) => Promise<void>;

async function killAgent({ agent }: FaultWorld): Promise<void> {
  await agent.kill();
  await agent.start();
}

async function restartAgent({ agent }: FaultWorld): Promise<void> {
  await agent.stop();
  await agent.start();
}

async function freezeAgent({ agent }: FaultWorld, random: () => number): Promise<void> {
  process.kill(agent.pid, "SIGSTOP");
  await delay(100 + random() * 1_500);
  process.kill(agent.pid, "SIGCONT");
}

async function stopPostgresAtOnce({ postgres }: FaultWorld, random: () => number): Promise<void> {
  await postgres.stop("immediate");
  await delay(random() * 1_000);
  await postgres.start();
}

async function killPostgres({ postgres }: FaultWorld, random: () => number): Promise<void> {
  await postgres.kill();
  await delay(random() * 1_000);
  await postgres.start();
}

async function terminateBackends({ postgres }: FaultWorld): Promise<void> {
  const client = new Client({ connectionString: postgres.url });
  await client.connect();
  await client.query(
    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = 'telemetry'",
  );
  await client.end();
}

async function restartPooler({ pooler }: FaultWorld, random: () => number): Promise<void> {
  await pooler.kill();
  await delay(random() * 500);
  await pooler.start();
}

async function fillDisk(world: FaultWorld, random: () => number): Promise<void> {
  const makeRoom = world.fillDisk();
  await delay(200 + random() * 1_500);
  makeRoom();
}

/** Clients that send part of a frame and reset the connection. */
async function resetConnections({ agent }: FaultWorld, random: () => number): Promise<void> {
  await Promise.all(
    Array.from({ length: 20 }, async () => {
      const socket = connect(agent.address);
      socket.on("error", () => {});
      await Promise.race([once(socket, "connect"), once(socket, "close")]);
      socket.write(`${500 + Math.floor(random() * 500)}:v1:`);
      await delay(random() * 20);
      socket.resetAndDestroy();
    }),
  );
}

/** Clients that send a byte now and then, for a while. */
async function dripBytes({ agent }: FaultWorld, random: () => number): Promise<void> {
  await Promise.all(
    Array.from({ length: 20 }, async () => {
      const socket = connect(agent.address);
      socket.on("error", () => {});
      for (const byte of "99999:v1:abc") {
        if (socket.destroyed) break;
        socket.write(byte);
        await delay(20 + random() * 100);
      }
      socket.destroy();
    }),
  );
}

export const FAULTS: Readonly<Record<string, Fault>> = {
  killAgent,
  restartAgent,
  freezeAgent,
  stopPostgresAtOnce,
  killPostgres,
  terminateBackends,
  restartPooler,
  fillDisk,
  resetConnections,
  dripBytes,
};
