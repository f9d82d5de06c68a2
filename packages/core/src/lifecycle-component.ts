import type { CloseOptions, Component, ComponentState, Health, StartOptions } from "./component.ts";
import type { Lifecycle } from "./lifecycle.ts";

/** The part of a {@link Component} that its {@link Lifecycle} answers for. */
export abstract class LifecycleComponent implements Component {
  abstract readonly name: string;
  protected abstract readonly lifecycle: Lifecycle;

  abstract health(): Health;

  get state(): ComponentState {
    return this.lifecycle.state;
  }

  get closed(): Promise<Error | undefined> {
    return this.lifecycle.closed;
  }

  start(options?: StartOptions): Promise<void> {
    return this.lifecycle.start(options);
  }

  close(options?: CloseOptions): Promise<void> {
    return this.lifecycle.close(options);
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }
}
