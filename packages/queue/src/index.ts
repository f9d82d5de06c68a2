/**
 * Placeholder of `@millrace/queue`: nothing is exported yet.
 *
 * @module
 */
export {};
