/** Options of a buffer that takes whatever is sent: how full it may get is not what is measured. */
export const UNLIMITED_BUFFER = { maxRows: 1_000_000_000, maxBytes: 2 ** 50 };
