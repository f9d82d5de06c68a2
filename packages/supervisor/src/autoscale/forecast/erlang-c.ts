/**
 * Probability that a job has to wait at all with `servers` busy on `offeredLoad` Erlangs (arrivals
 * times service time): Erlang's C formula by the recursion of his B formula, which doesn't overflow.
 */
export function erlangC(servers: number, offeredLoad: number): number {
  if (offeredLoad <= 0) return 0;
  if (servers <= offeredLoad) return 1;
  let blocking = 1;
  for (let server = 1; server <= servers; server++) {
    blocking = (offeredLoad * blocking) / (server + offeredLoad * blocking);
  }
  const utilisation = offeredLoad / servers;
  return blocking / (1 - utilisation * (1 - blocking));
}

/**
 * The least number of servers with which at most `maxLateShare` of jobs wait longer than
 * `maxWaitSeconds` (M/M/c). Little's law is its floor: never fewer than the offered load.
 */
export function serversForWait(
  arrivalsPerSecond: number,
  serviceSeconds: number,
  maxWaitSeconds: number,
  maxLateShare: number,
): number {
  const load = arrivalsPerSecond * serviceSeconds;
  if (load <= 0) return 0;
  for (let servers = Math.max(1, Math.ceil(load)); ; servers++) {
    const spare = servers - load;
    const late = erlangC(servers, load) * Math.exp((-spare * maxWaitSeconds) / serviceSeconds);
    if (spare > 0 && late <= maxLateShare) return servers;
  }
}
