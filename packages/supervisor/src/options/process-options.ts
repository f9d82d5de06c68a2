import type { ChooseVictims } from "../scaling/victims.ts";
import type { PingOptions } from "../scheduling/ping.ts";
import type { AutoscaleInput, AutoscaleOptions } from "./autoscale-options.ts";
import type { InstanceHooks } from "./hook-options.ts";
import type { HealthOptions } from "./probe-options.ts";

/** When a dependency lets its dependants start. */
export type DependencyCondition =
  | "started"
  | "ready"
  | "completed"
  /** An instance has written a line that contains the text or matches the pattern. */
  | { line: string | RegExp };

/** When an instance that ended is started again. */
export type RestartMode = "always" | "unless-stopped" | "on-failure" | "never";

/** One supervised process: what to run, how many copies, and how to treat them. */
export interface ProcessOptions {
  /** `false` leaves the process out. @default true */
  enabled?: boolean | undefined;
  /** Program and arguments. No shell; `${INSTANCE_NUMBER}` and other variables are filled in. */
  command?: string[] | undefined;
  /** A Node.js module to run instead of `command`, with an IPC channel. */
  module?: URL | string | undefined;
  /** Arguments of `module`. */
  args?: string[] | undefined;
  /** Options of the Node.js that runs `module`. @default those of this process */
  execArgv?: string[] | undefined;
  /** Opens an IPC channel to a Node.js `command`. @default false, `true` for `module` */
  ipc?: boolean | undefined;
  /** A `oneshot` is expected to end; exit code 0 completes it. @default "service" */
  type?: "service" | "oneshot" | undefined;
  /** Wanted instances: a number or `"${CPU_COUNT}"`. @default 1 */
  scale?: number | string | undefined;
  /** Fewest instances that scaling may ask for. @default 0 */
  minScale?: number | undefined;
  /** Most instances that scaling may ask for. @default 100 */
  maxScale?: number | undefined;
  /**
   * Derives `scale` from the memory that the container or host has: `share` of it (0.8), divided by
   * `perInstance` (bytes, or text as `"512MiB"`). @default none
   */
  memory?: { perInstance: number | string; share?: number | undefined } | undefined;
  /**
   * `unless-stopped` is `always`, but what was stopped by hand stays down when the next supervisor
   * of the same `state` file starts. @default "always" for services, "never" for oneshots
   */
  restart?: RestartMode | undefined;
  /** Random waits between restarts after unstable runs, from 0 up to a bound that doubles. */
  backoff?:
    | {
        /** First bound, in milliseconds. @default 100 */
        baseMs?: number | undefined;
        /** Largest bound, in milliseconds. @default 30_000 */
        capMs?: number | undefined;
        /** Uptime from which a run counts as stable, in milliseconds. @default 10_000 */
        minUptimeMs?: number | undefined;
        /** Unstable crashes in a row that make a `crashloop`. @default 5 */
        crashloopAfter?: number | undefined;
      }
    | undefined;
  /**
   * Restarts after unstable runs that all instances may spend together within `windowMs` milliseconds.
   *
   * @default { restarts: 60, windowMs: 60_000 }, or one per instance and `backoff.capMs` where that is more
   */
  restartBudget?: { restarts: number; windowMs: number } | undefined;
  /** Unstable crashes in a row after which an instance stays down; 0 never gives up. @default 0 */
  giveUpAfter?: number | undefined;
  /** Exit codes that count as success. @default [0] */
  successCodes?: number[] | undefined;
  /** Signals that count as success when one of them ended an instance, as `SIGTERM`. @default [] */
  successSignals?: NodeJS.Signals[] | undefined;
  /** Exit codes after which an instance is never started again. @default [] */
  noRestartCodes?: number[] | undefined;
  /** Signals after which an instance is never started again. @default [] */
  noRestartSignals?: NodeJS.Signals[] | undefined;
  /** How instances are stopped. */
  stop?:
    | {
        /** Sent to the process group. @default "SIGTERM" */
        signal?: NodeJS.Signals | undefined;
        /** From the first step to SIGKILL, in milliseconds. @default 30_000 */
        timeoutMs?: number | undefined;
        /**
         * Run before the signal, with the instance's environment; no shell. `timeoutMs` is in
         * milliseconds, and never more than what is left of the stop. @default none, 10_000 ms
         */
        preStop?: { command: string[]; timeoutMs?: number | undefined } | undefined;
      }
    | undefined;
  /** Commands to run around each run of an instance; what comes before a stop is `stop.preStop`. */
  hooks?: InstanceHooks | undefined;
  /** Probes that tell whether an instance is ready and alive. @default ready once it runs */
  health?: HealthOptions | undefined;
  /** How long an instance may take to become ready, in milliseconds. @default 30_000 */
  readyTimeoutMs?: number | undefined;
  /** Added to the supervisor's environment; `undefined` removes a variable. */
  env?: Record<string, string | undefined> | undefined;
  /** Working directory. @default that of this process */
  cwd?: string | undefined;
  /** User name or id to run as. @default that of this process */
  user?: string | number | undefined;
  /** Group name or id to run as. @default the user's */
  group?: string | number | undefined;
  /**
   * Resident memory of an instance and its children from which it is replaced or killed: bytes, or
   * text as `"512MB"`. Linux only. @default no limit
   */
  memoryLimit?:
    | number
    | string
    | {
        /** Replaced through a drain from here on. @default none */
        soft?: number | string | undefined;
        /** Killed from here on. @default none */
        hard?: number | string | undefined;
        /**
         * Replaced already when its memory grows steadily and would reach the lower of the two
         * within this time, in milliseconds. @default 0, which predicts nothing
         */
        predictMs?: number | undefined;
      }
    | undefined;
  /** Processes to wait for: names, or names with a condition. @default condition "ready" */
  dependsOn?: string[] | Record<string, DependencyCondition> | undefined;
  /** Run as a oneshot at these times, in cron's notation, instead of all the time. @default none */
  schedule?:
    | string
    | {
        /** Five fields, or six with seconds first. */
        cron: string;
        /** IANA name. @default "UTC" */
        timezone?: string | undefined;
        /** What happens when the last run has not ended; `parallel` up to `maxScale`. @default "skip" */
        overlap?: "skip" | "queue" | "parallel" | undefined;
        /** Stops a run after this time, in milliseconds; 0 never. @default 0 */
        timeoutMs?: number | undefined;
        /** Delays each run by a random time up to this, in milliseconds. @default 0 */
        jitterMs?: number | undefined;
        /**
         * Runs once at the start of a supervisor when times of the schedule passed while none ran,
         * if the last of them was at most so many milliseconds ago; needs `state`. @default 0, never
         */
        catchUpMs?: number | undefined;
        /** Addresses that each run is posted to. */
        ping?: PingOptions | undefined;
      }
    | undefined;
  /**
   * A port, whose socket the supervisor holds and every instance accepts on: see `sharedListener` of
   * `@millrace/supervisor/child`. @default none
   */
  listen?:
    | number
    | {
        port: number;
        /** @default "127.0.0.1" */
        host?: string | undefined;
        /** @default 511 */
        backlog?: number | undefined;
        /** Each instance binds the port itself instead: see the guide for what that loses. @default false */
        reusePort?: boolean | undefined;
        /**
         * For a Node.js `module` that calls `listen` on `PORT` itself: instances are workers of
         * Node's cluster, which shares the port among them. @default false
         */
        cluster?: boolean | undefined;
        /**
         * The first connection starts an instance while there is none, and is served by it; use it
         * with `scale: 0`. After `idleMs` milliseconds without a connection the process goes back
         * to `minScale`, 0 never. Linux only. @default off
         */
        onDemand?: boolean | { idleMs?: number | undefined } | undefined;
      }
    | undefined;
  /** `${PORT}` of instance n is `base + n * step`. @default none, step 1 */
  ports?: { base: number; step?: number | undefined } | undefined;
  /** Inputs that say how many instances there should be, or those with rules. @default none */
  autoscale?: AutoscaleInput[] | AutoscaleOptions | undefined;
  /** Says who is stopped on the way down. @default the unready, the idle, the less busy, the younger */
  victims?: ChooseVictims | undefined;
  /** How a rollout replaces instances. */
  rollout?:
    | {
        /** Instances above `scale` while rolling. @default 1, 0 with `ports` */
        maxSurge?: number | undefined;
        /** Instances below `scale` while rolling. @default 0, 1 with `ports` */
        maxUnavailable?: number | undefined;
        /** How long a new instance must stay ready, in milliseconds. @default 0 */
        minReadyMs?: number | undefined;
        /**
         * How long each new instance may take to become ready and stay so, however it goes about
         * it, in milliseconds; then the rollout is taken back. @default 0, which is no limit
         */
        progressDeadlineMs?: number | undefined;
      }
    | undefined;
  /** What becomes of the lines that instances write. */
  logs?:
    | {
        /** Lines kept per instance for the API. @default 1_000 */
        ringLines?: number | undefined;
        /** Characters (UTF-16 units) from which a line is cut. @default 65_536 */
        maxLineLength?: number | undefined;
        /** How lines reach the logger. @default "structured" */
        forward?: "structured" | "prefixed" | "none" | undefined;
        /** Also write to this file; `${INSTANCE_ID}` is filled in. */
        file?: string | undefined;
        /** Size from which the file is rotated. @default "10MB" */
        maxFileSize?: number | string | undefined;
        /** Age from which the next line rotates the file, in milliseconds. @default never */
        maxFileAgeMs?: number | undefined;
        /** Files kept per instance. @default 5 */
        maxFiles?: number | undefined;
        /**
         * Joins lines that belong together, as stack traces, into one entry: `true` by indentation
         * and the usual words; or a pattern that every first line matches. @default off
         */
        multiline?:
          | boolean
          | {
              /** Matches every first line. @default indentation and the usual words */
              start?: RegExp | undefined;
              /** Lines joined into one entry at most. @default 100 */
              maxLines?: number | undefined;
              /** Silence after which an entry is complete, in milliseconds. @default 200 */
              flushMs?: number | undefined;
            }
          | undefined;
        /** Patterns whose matches are replaced by `[redacted]`. */
        redact?: RegExp[] | undefined;
        /** Takes lines that are JSON objects apart into message, level and `fields`. @default false */
        json?: boolean | undefined;
      }
    | undefined;
  /** What happens to instances when the supervisor is killed. @default "die" */
  onSupervisorDeath?: "die" | "survive" | undefined;
  /**
   * Its final failure ends the supervisor with an error, and `runUntilSignal` the program with exit
   * code 1 or, from 1 to 255, the one given here. @default false
   */
  essential?: boolean | { exitCode: number } | undefined;
}
