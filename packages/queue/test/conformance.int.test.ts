import { describeConformance } from "./support/conformance.ts";

describeConformance("the newest BullMQ");
