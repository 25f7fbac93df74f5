import { messageOf } from './main.ts';

/** What has to be taken away at the end of a run, whatever happens. */
export class Cleanups {
  readonly #steps: (() => unknown)[] = [];

  add(step: () => unknown): void {
    this.#steps.push(step);
  }

  /** Runs the steps, the latest first. One that fails is told of, and does not keep the others from running. */
  async run(notify: (text: string) => void): Promise<void> {
    for (const step of this.#steps.splice(0).reverse()) {
      try {
        await step();
      } catch (error) {
        notify(`Cleaning up: ${messageOf(error)}`);
      }
    }
  }
}
