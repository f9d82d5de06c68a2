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
  error: { code: string; message: string } | undefined;
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
