import { admissionContract } from "./admission.ts";
import type { OpenBackend } from "./backend.ts";
import { callbacksContract } from "./callbacks.ts";
import { cancellingContract } from "./cancelling.ts";
import { childrenContract } from "./children.ts";
import { eventsContract } from "./events.ts";
import { failuresContract } from "./failures.ts";
import { limitsContract } from "./limits.ts";
import { schedulesContract } from "./schedules.ts";
import { tasksContract } from "./tasks.ts";

/** Everything that holds whatever keeps the tasks. */
export function queueContract(open: OpenBackend): void {
  tasksContract(open);
  failuresContract(open);
  admissionContract(open);
  callbacksContract(open);
  cancellingContract(open);
  childrenContract(open);
  limitsContract(open);
  eventsContract(open);
  schedulesContract(open);
}
