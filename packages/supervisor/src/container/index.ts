/**
 * For the main program of a container.
 *
 * @module
 */
export { type EnterContainerOptions, enterContainer } from "./enter-container.ts";
