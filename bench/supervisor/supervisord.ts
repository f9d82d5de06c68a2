import { execFile, spawn } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import type { Manager } from "./manager.ts";

const run = promisify(execFile);

/** supervisord of Debian; HTTP servers share a socket through its fcgi-program. */
export class SupervisordManager implements Manager {
  readonly name = "supervisord";
  readonly #home = mkdtempSync(join(tmpdir(), "bench-supervisord-"));

  /** Cannot add instances at run time: its own start is part of it. */
  prepare(): Promise<void> {
    return Promise.resolve();
  }

  startSleepers(count: number, seconds: string): Promise<void> {
    return this.#start(`[program:app]\ncommand=/bin/sleep ${seconds}\nnumprocs=${count}\n`);
  }

  async startServers(program: string): Promise<number> {
    const port = 31_000 + (process.pid % 10_000);
    await this.#start(
      `[fcgi-program:app]\nsocket=tcp://127.0.0.1:${port}\nnumprocs=3\nstopwaitsecs=10\n` +
        `environment=LISTEN_ON_FD="0"\ncommand=${process.execPath} ${program}\n`,
    );
    return port;
  }

  /** One by one, by script: it has no rolling restart of its own. */
  async roll(): Promise<void> {
    for (let number = 0; number < 3; number++) {
      await run("supervisorctl", [
        "-c",
        this.#config,
        "restart",
        `app:app_${String(number).padStart(2, "0")}`,
      ]);
    }
  }

  pid(): number {
    return Number(readFileSync(join(this.#home, "pid"), "utf8"));
  }

  async stop(): Promise<void> {
    await run("supervisorctl", ["-c", this.#config, "shutdown"]).catch(() => {});
    await new Promise((resolve) => {
      setTimeout(resolve, 1_500);
    });
    rmSync(this.#home, { recursive: true, force: true });
  }

  get #config(): string {
    return join(this.#home, "supervisord.conf");
  }

  async #start(program: string): Promise<void> {
    const socket = join(this.#home, "ctl.sock");
    writeFileSync(
      this.#config,
      `[supervisord]\nnodaemon=true\nlogfile=/dev/null\nlogfile_maxbytes=0\nuser=root\n` +
        `pidfile=${join(this.#home, "pid")}\nchildlogdir=${this.#home}\n` +
        `[unix_http_server]\nfile=${socket}\n` +
        `[rpcinterface:supervisor]\nsupervisor.rpcinterface_factory=supervisor.rpcinterface:make_main_rpcinterface\n` +
        `[supervisorctl]\nserverurl=unix://${socket}\n` +
        `${program}process_name=%(program_name)s_%(process_num)02d\nautorestart=true\nstdout_logfile=NONE\nstderr_logfile=NONE\n`,
    );
    spawn("supervisord", ["-c", this.#config], { stdio: "ignore", detached: true }).unref();
  }
}
