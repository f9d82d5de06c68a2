/** Arrivals relative to the base rate, by second from 0 to 299. */
export type LoadShape = (second: number) => number;

/** Twelve ways in which load comes. */
export const LOAD_SHAPES: Readonly<Record<string, LoadShape>> = {
  steady: () => 1,
  spike: (second) => (second > 60 && second <= 120 ? 5 : 1),
  growth: (second) => 1.1 ** Math.floor(second / 30),
  decline: (second) => 3 - (2.5 * second) / 300,
  bursty: (second) => (Math.floor(second / 30) % 2 === 0 ? 3 : 0.2),
  coldStart: (second) => (second < 30 ? 0 : 3),
  pressure: () => 1.3,
  wave: (second) => 1.5 + Math.sin((2 * Math.PI * second) / 60),
  morningRush: (second) => (second < 60 ? 0.5 + 3.5 * (second / 60) ** 2 : 4),
  endOfDay: (second) => 0.1 + 1.9 * Math.exp((-3 * second) / 300),
  extreme: (second) => (second > 30 && second <= 60 ? 10 : 1),
  flapping: (second) => (Math.floor(second / 5) % 2 === 0 ? 2 : 0.5),
};
