import { randomUUID } from "node:crypto";
import { fileURLToPath } from "node:url";
import type { ResolvedHook } from "../options/hook-options.ts";
import { RUN_ID_VARIABLE } from "../orphans/stray-finder.ts";
import { fillHooks } from "./fill-hooks.ts";
import { interpolate, type Variables } from "./interpolate.ts";
import { hasIpc, type ProcessSpec } from "./process-spec.ts";
import { resolveUser } from "./user-ids.ts";

/** What a worker of Node's cluster runs. */
export interface ClusterModule {
  exec: string;
  args: string[];
  execArgv: string[];
}

/** Everything that it takes to start one instance. */
export interface LaunchPlan {
  file: string;
  args: string[];
  env: Record<string, string>;
  cwd: string | undefined;
  uid: number | undefined;
  gid: number | undefined;
  ipc: boolean;
  /** Inherited as file descriptor 3. */
  listenFd: number | undefined;
  /** Set for a worker of Node's cluster, which `file` and `args` then only describe. */
  cluster: ClusterModule | undefined;
  /** Written by the child itself, because it may outlive its supervisor. */
  outputFile: string | undefined;
  logFile: string | undefined;
  survives: boolean;
  hooks: Record<"preStart" | "postStart" | "postStop", ResolvedHook[]>;
  preStop: { command: string[]; timeoutMs: number } | undefined;
}

/** What a plan depends on besides the options of the process. */
export interface LaunchContext {
  /** Environment of the supervisor. */
  env: Readonly<Record<string, string | undefined>>;
  cpuCount: number;
  memoryBytes: number;
  /** Tags children that must not outlive the supervisor. */
  guardId: string;
  /** Tags children that may, by the state file that knows them. */
  stateId: string | undefined;
  listenFd: number | undefined;
  listenPort: number | undefined;
  heartbeatMs: number | undefined;
}

/** The name of an instance. */
export function instanceId(process: string, number: number): string {
  return `${process}-${number}`;
}

/** The port of instance `number`, where the process has `ports`. */
export function instancePort(spec: ProcessSpec, number: number): number | undefined {
  const { ports } = spec.options;
  return ports === undefined ? undefined : ports.base + number * ports.step;
}

/** What `${...}` may refer to in the options of one instance. */
export function instanceVariables(
  spec: ProcessSpec,
  number: number,
  context: LaunchContext,
): Variables {
  const port = instancePort(spec, number) ?? context.listenPort;
  const own: Record<string, string | undefined> = {
    INSTANCE_NUMBER: String(number),
    INSTANCE_ID: instanceId(spec.name, number),
    PROCESS_NAME: spec.name,
    GENERATION: String(spec.generation),
    CPU_COUNT: String(context.cpuCount),
    MEMORY_BYTES: String(context.memoryBytes),
    ...(port === undefined ? {} : { PORT: String(port) }),
  };
  const prefixed = Object.entries(own).map(([name, value]): [string, string | undefined] => [
    `MILLRACE_${name}`,
    value,
  ]);
  return { ...context.env, ...Object.fromEntries(prefixed), ...own };
}

/**
 * Works out how to start one instance.
 *
 * @throws `SUPERVISOR_VARIABLE_MISSING`, `SUPERVISOR_USER_UNKNOWN`.
 */
export function planLaunch(spec: ProcessSpec, number: number, context: LaunchContext): LaunchPlan {
  const { options } = spec;
  const variables = instanceVariables(spec, number, context);
  const fill = (text: string): string => interpolate(text, variables);
  const env: Record<string, string> = {};
  for (const [name, value] of Object.entries(context.env)) {
    if (value !== undefined) env[name] = value;
  }
  for (const [name, value] of Object.entries(options.env)) {
    if (value === undefined) delete env[name];
    else env[name] = fill(value);
  }
  const survives = options.onSupervisorDeath === "survive";
  Object.assign(env, ownEnvironment(spec, number, context, survives));
  const { preStop } = options.stop;
  const logFile = options.logs.file === undefined ? undefined : fill(options.logs.file);
  return {
    ...withListenPid(commandOf(spec, fill), context.listenFd !== undefined && !hasIpc(options)),
    env,
    cwd: options.cwd === undefined ? undefined : fill(options.cwd),
    ...resolveUser(options.user, options.group),
    ipc: hasIpc(options),
    listenFd: context.listenFd,
    cluster: options.listen?.cluster === true ? moduleOf(spec, fill) : undefined,
    outputFile: survives ? (logFile ?? "/dev/null") : undefined,
    logFile: survives ? undefined : logFile,
    survives,
    hooks: {
      preStart: fillHooks(options.hooks.preStart, variables),
      postStart: fillHooks(options.hooks.postStart, variables),
      postStop: fillHooks(options.hooks.postStop, variables),
    },
    preStop: preStop === undefined ? undefined : { ...preStop, command: preStop.command.map(fill) },
  };
}

function commandOf(
  { options }: ProcessSpec,
  fill: (text: string) => string,
): { file: string; args: string[] } {
  const module = moduleOf({ options }, fill);
  if (module !== undefined) {
    return { file: process.execPath, args: [...module.execArgv, module.exec, ...module.args] };
  }
  const [file = "", ...args] = (options.command ?? []).map(fill);
  return { file, args };
}

function moduleOf(
  { options }: Pick<ProcessSpec, "options">,
  fill: (text: string) => string,
): ClusterModule | undefined {
  if (options.module === undefined) return undefined;
  const exec =
    options.module instanceof URL || options.module.startsWith("file:")
      ? fileURLToPath(options.module)
      : fill(options.module);
  const execArgv =
    options.execArgv ?? process.execArgv.filter((flag) => !flag.startsWith("--inspect"));
  // A free port for the inspector that a hung child is asked for its stack through.
  const inspectPort = options.health.liveness?.type === "ipc" ? ["--inspect-port=127.0.0.1:0"] : [];
  return { exec, args: options.args.map(fill), execArgv: [...inspectPort, ...execArgv] };
}

/**
 * `sd_listen_fds` checks `LISTEN_PID` against its own pid, which is only known after the fork: a shell
 * that sets it and then becomes the program is the portable way. It never sees the command as text.
 */
function withListenPid(
  command: { file: string; args: string[] },
  needed: boolean,
): { file: string; args: string[] } {
  if (!needed) return command;
  return {
    file: "/bin/sh",
    args: ["-c", 'LISTEN_PID=$$ exec "$@"', "sh", command.file, ...command.args],
  };
}

function ownEnvironment(
  spec: ProcessSpec,
  number: number,
  context: LaunchContext,
  survives: boolean,
): Record<string, string> {
  const port = instancePort(spec, number) ?? context.listenPort;
  return {
    MILLRACE_INSTANCE_ID: instanceId(spec.name, number),
    MILLRACE_INSTANCE_NUMBER: String(number),
    MILLRACE_PROCESS_NAME: spec.name,
    MILLRACE_GENERATION: String(spec.generation),
    [RUN_ID_VARIABLE]: randomUUID(),
    ...(port === undefined ? {} : { PORT: String(port) }),
    ...(survives ? {} : { MILLRACE_GUARD_ID: context.guardId }),
    ...(survives && context.stateId !== undefined ? { MILLRACE_STATE_ID: context.stateId } : {}),
    ...(context.listenFd === undefined
      ? {}
      : { LISTEN_FDS: "1", LISTEN_FDNAMES: spec.name, MILLRACE_LISTEN_FD: "3" }),
    ...(spec.options.listen?.cluster === true ? { MILLRACE_LISTEN_CLUSTER: "1" } : {}),
    ...(spec.options.listen?.reusePort === true
      ? { MILLRACE_REUSE_PORT: "1", MILLRACE_LISTEN_HOST: spec.options.listen.host }
      : {}),
    ...(context.heartbeatMs === undefined
      ? {}
      : { MILLRACE_HEARTBEAT_MS: String(context.heartbeatMs) }),
  };
}
