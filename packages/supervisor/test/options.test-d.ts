import type { DurableBuffer } from "@millrace/core/buffer";
import type { Pressure } from "@millrace/core";
import {
  type ApiOptions,
  type AutoscaleInput,
  bufferDepth,
  type HealthOptions,
  type InstanceChange,
  pressure,
  type ProcessOptions,
  type ProcessPatch,
  type Supervisor,
  type SupervisorEvents,
  type SupervisorOptions,
  type supervisorOptionsSchema,
} from "@millrace/supervisor";
import { expectTypeOf, it } from "vitest";
import type * as z from "zod";

type Input = z.input<typeof supervisorOptionsSchema>;
type Process = Input["processes"][string];
// What may be written in a short form is preprocessed: its schema takes anything and says so itself.
type Short = "memoryLimit" | "dependsOn" | "schedule" | "listen" | "autoscale" | "logs" | "hooks";

it("the options interface has exactly the keys of the schema", () => {
  expectTypeOf<keyof Input>().toEqualTypeOf<keyof SupervisorOptions>();
  expectTypeOf<keyof Process>().toEqualTypeOf<keyof ProcessOptions>();
  expectTypeOf<keyof NonNullable<Process["logs"]>>().toEqualTypeOf<
    keyof NonNullable<ProcessOptions["logs"]>
  >();
  expectTypeOf<keyof NonNullable<Input["api"]>>().toEqualTypeOf<keyof ApiOptions>();
  expectTypeOf<NonNullable<Process["health"]>>().toEqualTypeOf<HealthOptions>();
});

it("what is not written short is what the schema takes", () => {
  expectTypeOf<ProcessOptions>().toExtend<Process>();
  expectTypeOf<Omit<Process, Short | "stop" | "successSignals" | "noRestartSignals">>().toExtend<
    Omit<ProcessOptions, Short | "stop" | "successSignals" | "noRestartSignals">
  >();
});

it("a rollout changes what a new generation may change, and removes variables", () => {
  expectTypeOf<{ env: { OLD: undefined } }>().toExtend<ProcessPatch>();
  expectTypeOf<ProcessPatch>().not.toHaveProperty("scale");
  expectTypeOf<ProcessPatch>().toExtend<Partial<ProcessOptions>>();
});

it("listeners get the payload of their event", () => {
  const supervisor = {} as Supervisor;
  supervisor.on("instance:changed", (change) => {
    expectTypeOf(change).toEqualTypeOf<InstanceChange>();
  });
  expectTypeOf<Parameters<Supervisor["on"]>[0]>().toEqualTypeOf<keyof SupervisorEvents>();
});

it("the parts of core are inputs", () => {
  expectTypeOf(bufferDepth({} as DurableBuffer, { rowsPerInstance: 1 })).toExtend<AutoscaleInput>();
  expectTypeOf(pressure({} as Pressure)).toExtend<AutoscaleInput>();
  expectTypeOf<{ restart: "sometimes" }>().not.toExtend<Pick<ProcessOptions, "restart">>();
});
