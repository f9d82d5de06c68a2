import { Agent, request } from "node:http";

/** Open-loop load, half of it over kept connections. */
export function startLoad(port: number, perSecond: number) {
  const kept = new Agent({ keepAlive: true });
  const outcome = { sent: 0, done: 0, failed: 0 };
  const send = (agent: Agent | false): void => {
    outcome.sent++;
    request({ host: "127.0.0.1", port, agent }, (response) => {
      response.resume();
      response.on("end", () => {
        outcome.done++;
        if (response.statusCode !== 200) outcome.failed++;
      });
    })
      .on("error", () => {
        outcome.done++;
        outcome.failed++;
      })
      .end();
  };
  const timer = setInterval(() => {
    send(kept);
    send(false);
  }, 2_000 / perSecond);
  return {
    async stop(): Promise<{ sent: number; failed: number }> {
      clearInterval(timer);
      while (outcome.done < outcome.sent) {
        await new Promise((resolve) => {
          setTimeout(resolve, 10);
        });
      }
      kept.destroy();
      return { sent: outcome.sent, failed: outcome.failed };
    },
  };
}
