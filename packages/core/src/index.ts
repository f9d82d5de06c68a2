/**
 * What the Millrace packages share: configuration, errors, logging, metrics, backpressure and the
 * lifecycle of components.
 *
 * @example
 * ```ts
 * import { createPressure, heapSource, runUntilSignal } from "@millrace/core";
 *
 * const pressure = createPressure({ sources: [heapSource()] });
 * await runUntilSignal([pressure], { onReady: () => process.emit("SIGTERM") });
 * ```
 *
 * @module
 */
export { AddressFilter, type AddressRules, addressRuleSchema } from "./address-filter.ts";
export { Backoff, type BackoffOptions } from "./backoff.ts";
export { CloserStack } from "./closer-stack.ts";
export type { CloseOptions, Component, ComponentState, Health, StartOptions } from "./component.ts";
export { type ConfigProblem, configInvalid, parseOptions } from "./config.ts";
export { type LoadConfigOptions, loadConfig } from "./env.ts";
export { type CoreErrorCode, messageOf, MillraceError, type MillraceErrorInit } from "./errors.ts";
export { type EventMap, type Listener, TypedEmitter } from "./events.ts";
export { checkHealth, checkReadiness, type HealthReport } from "./health.ts";
export { LifecycleComponent } from "./lifecycle-component.ts";
export { DEFAULT_GRACE_MS, Lifecycle, type LifecycleSteps } from "./lifecycle.ts";
export { LogThrottle } from "./log-throttle.ts";
export { defaultLogger, type Logger, type LogMethod, silentLogger } from "./logger.ts";
export {
  defaultMetrics,
  type HistogramFamily,
  type MetricFamily,
  type MetricSample,
  type MetricsRegistry,
  type PublishedHistogram,
  publishHistogram,
  publishMetric,
} from "./metrics.ts";
export { assertNodeVersion, MINIMUM_NODE_VERSION } from "./node-version.ts";
export {
  type PressureOptions,
  pressureOptionsSchema,
  type PressureSource,
} from "./pressure-options.ts";
export { eventLoopSource, heapSource } from "./pressure-sources.ts";
export {
  createPressure,
  nextPressureState,
  type Pressure,
  type PressureEvents,
  type PressureState,
} from "./pressure.ts";
export { redactSecrets } from "./redact-secrets.ts";
export { runUntilSignal, type RunUntilSignalOptions } from "./run-until-signal.ts";
export { sleep } from "./sleep.ts";
export { refuseWebhook, signWebhook, type WebhookHeaders } from "./standard-webhooks.ts";
export { openPayload, type OtlpKind, type PayloadKind, sealPayload } from "./payload-envelope.ts";
