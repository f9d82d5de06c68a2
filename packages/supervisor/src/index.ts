/**
 * Placeholder of `@millrace/supervisor`: nothing is exported yet.
 *
 * @module
 */
export {};
