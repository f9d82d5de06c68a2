import { spawnSync } from "node:child_process";
import {
  closeSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  rmSync,
  statfsSync,
  writeSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import {
  type PgBouncerService,
  type PostgresService,
  startPgBouncer,
  startPostgres,
} from "@millrace/services";
import { AgentProcess } from "../e2e/agent-process.ts";

const DISK_MIB = 96;
const DATABASE = "telemetry";

/** An agent with everything that can fail around it: a small disk, a pooler, a PostgreSQL of its own. */
export class FaultWorld {
  readonly agent: AgentProcess;
  readonly postgres: PostgresService;
  readonly pooler: PgBouncerService;
  /** Past the pooler, for whoever judges. */
  readonly databaseUrl: string;
  readonly token: string;
  readonly #disk: string;

  private constructor(parts: {
    agent: AgentProcess;
    postgres: PostgresService;
    pooler: PgBouncerService;
    databaseUrl: string;
    token: string;
    disk: string;
  }) {
    this.agent = parts.agent;
    this.postgres = parts.postgres;
    this.pooler = parts.pooler;
    this.databaseUrl = parts.databaseUrl;
    this.token = parts.token;
    this.#disk = parts.disk;
  }

  static async create(): Promise<FaultWorld> {
    const disk = mountSmallDisk();
    const postgres = await startPostgres();
    const databaseUrl = await postgres.createDatabase(DATABASE);
    const pooler = await startPgBouncer({
      upstream: postgres,
      poolMode: "transaction",
      poolSize: 4,
    });
    const token = "soak-token";
    const agent = await AgentProcess.create({
      databaseUrl: pooler.url(DATABASE),
      bufferPath: join(disk, "buffer.db"),
      token,
      env: { MILLRACE_DRAIN_BATCH_ROWS: "100" },
    });
    return new FaultWorld({ agent, postgres, pooler, databaseUrl, token, disk });
  }

  async end(): Promise<void> {
    await this.agent.kill();
    await this.pooler.remove();
    await this.postgres.remove();
    spawnSync("umount", ["-l", this.#disk]);
    rmSync(this.#disk, { recursive: true, force: true });
  }

  /** Leaves no room on the buffer's disk. @returns a function that makes room again. */
  fillDisk(): () => void {
    const filler = join(this.#disk, "filler");
    const file = openSync(filler, "w");
    const block = Buffer.alloc(1024 * 1024);
    try {
      for (;;) writeSync(file, block);
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== "ENOSPC") throw error;
    } finally {
      closeSync(file);
    }
    return () => rmSync(filler, { force: true });
  }

  /** Bytes left on the buffer's disk. */
  freeBytes(): number {
    const { bavail, bsize } = statfsSync(this.#disk);
    return bavail * bsize;
  }
}

function mountSmallDisk(): string {
  const folder = mkdtempSync(join(tmpdir(), "millrace-soak-"));
  mkdirSync(folder, { recursive: true });
  const mount = spawnSync("mount", ["-t", "tmpfs", "-o", `size=${DISK_MIB}m`, "tmpfs", folder], {
    encoding: "utf8",
  });
  if (mount.status !== 0) {
    throw new Error(
      `cannot mount a small disk (${mount.stderr}): the soak test runs as root on Linux`,
    );
  }
  return folder;
}
