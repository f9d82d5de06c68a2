/** What an operation does. */
export type OperationKind =
  | "start"
  | "stop"
  | "scale"
  | "restart"
  | "rollout"
  | "rollback"
  | "canary";

/** `superseded`: a newer operation on the same process took its place. */
export type OperationState =
  | "pending"
  | "running"
  | "succeeded"
  | "failed"
  | "superseded"
  | "cancelled";

/** Why a rollout was rolled back: what the first instance that failed did. */
export type RolloutFailure = "not-ready" | "crashed" | "not-stable" | "stalled";

/** How far an operation is and how it ended. */
export interface OperationStatus {
  id: string;
  process: string;
  /** Set for an operation on one instance. */
  instance: string | undefined;
  kind: OperationKind;
  state: OperationState;
  done: number;
  total: number;
  message: string;
  /** ISO 8601. */
  createdAt: string;
  endedAt: string | undefined;
  /** `reason` says what made a rollout fail. */
  error: { code: string; message: string; reason?: RolloutFailure | undefined } | undefined;
}

/** A change under way. */
export interface Operation {
  readonly id: string;
  status(): OperationStatus;
  /** Resolves when it has ended, however it ended. Never rejects. */
  readonly done: Promise<OperationStatus>;
  /** Stops it where it is; what it has done stays. */
  cancel(): void;
}
