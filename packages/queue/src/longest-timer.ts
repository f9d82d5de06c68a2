/** Node.js takes a longer time, in milliseconds, for 1 ms. */
export const LONGEST_TIMER_MS = 2 ** 31 - 1;
