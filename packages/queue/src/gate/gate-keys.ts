/** Names of a queue's keys in Redis. */
export interface GateKeys {
  /** BullMQ's name of the queue. */
  readonly queueName: string;
  /** BullMQ's `prefix` option: the hash tag, so that all keys of the queue share a slot. */
  readonly bullmqPrefix: string;
  /** What BullMQ's keys of this queue start with. */
  readonly bullmq: string;
  /** What the gate's keys start with; outside BullMQ's, which it may sweep. */
  readonly gate: string;
}

/** The keys of the queue `name` under `prefix`; `tag` overrides the hash tag it sits under. */
export function gateKeys(prefix: string, name: string, tag: string = name): GateKeys {
  const hashTag = `{${prefix}:${tag}}`;
  return {
    queueName: name,
    bullmqPrefix: hashTag,
    bullmq: `${hashTag}:${name}:`,
    gate: `${hashTag}:gate:${name}:`,
  };
}
