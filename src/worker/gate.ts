import type { Consumer, Delivery } from '../broker/broker.ts';

/** Lets a job that may end its worker run alone, beside no job of any queue: a crash then convicts it, or it is cleared. */
export class Gate {
  readonly #consumers = new Map<string, Promise<Consumer>>();
  #alone: Delivery | undefined;
  #closed = false;

  /** Whether all other jobs have to go back, because one runs alone or waits to. */
  get isTaken(): boolean {
    return this.#alone !== undefined;
  }

  /** Adds a queue whose jobs run in this process; its consumer may still be on its way when its first job comes. */
  add(queue: string, consumer: Promise<Consumer>): void {
    this.#consumers.set(queue, consumer);
  }

  close(): void {
    this.#closed = true;
  }

  /** Resolves with true when the job runs alone in this process, with false when another one already does. */
  async enter(delivery: Delivery): Promise<boolean> {
    if (this.#alone || this.#closed) return false;
    this.#alone = delivery;
    try {
      await this.#forAll(delivery, (consumer, jobId) => consumer.isolate(jobId));
      if (!this.#closed) return true;
    } catch {
      // Redis refused to note that the job runs alone, so it does not run now.
    }
    await this.leave(delivery);
    return false;
  }

  /** Lets the other jobs run again. To be called once after each `enter` that resolved with true. */
  async leave(delivery: Delivery): Promise<void> {
    await this.#forAll(delivery, (consumer, jobId) => consumer.rejoin(jobId));
    this.#alone = undefined;
  }

  async #forAll({ queue, jobId }: Delivery, work: (consumer: Consumer, jobId: string | undefined) => Promise<void>) {
    const works = [...this.#consumers].map(async ([name, consumer]) =>
      work(await consumer, name === queue ? jobId : undefined),
    );
    await Promise.all(works);
  }
}
