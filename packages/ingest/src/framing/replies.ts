/** The only reply that a client takes for success; it reads exactly these four bytes. */
export const ACCEPTED = "2:OK";

/** Sent for every refusal, then the connection closes. */
export const REFUSED = "5:ERROR";
