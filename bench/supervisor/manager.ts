/** A process manager that is measured: the same three jobs for each of them. */
export interface Manager {
  readonly name: string;
  /** Brings the manager to where it can be told to start something, if it has such a state. */
  prepare(seconds: string): Promise<void>;
  /** Brings up `count` of `sleep <seconds>`; resolves when the command has returned. */
  startSleepers(count: number, seconds: string): Promise<void>;
  /** Starts it with three HTTP servers; gives the port. */
  startServers(program: string): Promise<number>;
  /** Replaces the servers one after the other, as its documentation says. */
  roll(): Promise<void>;
  /** Pid of the long-lived manager process. */
  pid(): number;
  /** Ends the manager and everything below it. */
  stop(): Promise<void>;
}
