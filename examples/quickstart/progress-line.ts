/** Shows one line that changes on a terminal, and a line a second elsewhere. */
export function createProgressLine(render: () => string): { stop(): void } {
  const { isTTY } = process.stdout;
  const draw = () => process.stdout.write(isTTY ? `\r\u001B[2K${render()}` : `${render()}\n`);
  const timer = setInterval(draw, isTTY ? 200 : 1_000);
  return {
    stop() {
      clearInterval(timer);
      draw();
      if (isTTY) process.stdout.write("\n");
    },
  };
}

/** How fast a growing count grows, per second, over about the last second. */
export function createRate(): (count: number) => number {
  const samples: Array<{ at: number; count: number }> = [];
  return (count) => {
    const at = performance.now();
    samples.push({ at, count });
    while (samples.length > 2 && at - (samples[0]?.at ?? at) > 1_200) samples.shift();
    const first = samples[0] ?? { at, count };
    return at === first.at ? 0 : ((count - first.count) / (at - first.at)) * 1_000;
  };
}
