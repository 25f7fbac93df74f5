import type { Consumer, Delivery } from '../broker/broker.ts';
import type { Gate } from './run-job.ts';

/** The gate of a whole process: what kills it kills the jobs of all its queues. */
export interface ProcessGate extends Gate {
  /** Whether a job has to go back because another one runs alone, or waits to. */
  readonly closed: boolean;
  /** A queue's jobs run in this process, too; the consumer may still be on its way when its first job comes. */
  add(queue: string, consumer: Promise<Consumer>): void;
  /** Nobody gets in any more. */
  close(): void;
}

/** Creates the gate for jobs that are suspected of ending their worker: a crash then convicts one, or it is cleared. */
export function createGate(): ProcessGate {
  const consumers = new Map<string, Promise<Consumer>>();
  let alone: Delivery | undefined;
  let closed = false;
  const forAll = (work: (consumer: Consumer, jobId: string | undefined) => Promise<void>, { queue, jobId }: Delivery) =>
    Promise.all(
      [...consumers].map(async ([name, consumer]) => work(await consumer, name === queue ? jobId : undefined)),
    );
  const leave = async (delivery: Delivery) => {
    await forAll((consumer, jobId) => consumer.rejoin(jobId), delivery);
    alone = undefined;
  };
  return {
    get closed() {
      return alone !== undefined;
    },
    add: (queue, consumer) => void consumers.set(queue, consumer),
    close() {
      closed = true;
    },
    async enter(delivery) {
      if (alone || closed) return false;
      alone = delivery;
      try {
        await forAll((consumer, jobId) => consumer.isolate(jobId), delivery);
        if (!closed) return true;
      } catch {
        // Redis refused to note it: not now.
      }
      await leave(delivery);
      return false;
    },
    leave,
  };
}
