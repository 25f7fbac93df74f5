import { setTimeout as sleep } from 'node:timers/promises';
import { type FlowJob, type FlowProducer, type JobsOptions, type Queue, Worker } from 'bullmq';
import type { Redis } from 'ioredis';
import * as v from 'valibot';
import { defineQueue } from '../../src/manifest/define-queue.ts';
import { defineTask } from '../../src/manifest/define-task.ts';
import { serveTasks } from './serve-tasks.ts';

/** What a job of the plain producers asks for. */
export interface Mail {
  readonly label: string;
  /** On so many first attempts, the work fails. */
  readonly failures?: number;
}

/** One start of a job's code. */
export interface Start {
  readonly label: string;
  readonly attempt: number;
  readonly at: number;
}

/** The application's own code, whoever calls it. */
export class Mailer {
  readonly starts: Start[] = [];
  /** How many ran at once, at most. */
  peak = 0;
  #running = 0;

  async send({ label, failures = 0 }: Mail, attempt: number): Promise<{ sent: string }> {
    this.starts.push({ label, attempt, at: performance.now() });
    this.#running += 1;
    this.peak = Math.max(this.peak, this.#running);
    await sleep(1);
    this.#running -= 1;
    if (attempt <= failures) throw new Error(`${label} fails`);
    return { sent: label };
  }
}

/** Runs the jobs of the queue `Send_Mail` under a prefix; `close` stops that. */
export type Serve = (prefix: string, mailer: Mailer) => Promise<{ close(): Promise<void> }>;

/** Serves the queue as an application on plain BullMQ does. */
export function servePlainly(connection: Redis): Serve {
  return async (prefix, mailer) => {
    const worker = new Worker<Mail>('Send_Mail', ({ data, attemptsMade }) => mailer.send(data, attemptsMade + 1), {
      prefix,
      connection,
    });
    await worker.waitUntilReady();
    return worker;
  };
}

/** Serves the queue with a worker of Islet, in this process. */
export function serveWithIslet(redis: string, concurrency = 1): Serve {
  return (prefix, mailer) => {
    const queue = defineQueue({ name: 'mail', bullmq: { name: 'Send_Mail', prefix } });
    const manifest = defineTask({
      name: 'send-mail',
      formerNames: ['sendMail', '__default__'],
      queue,
      payload: v.object({ label: v.string(), failures: v.optional(v.number()) }),
      retries: 'from-job',
    });
    const run = (payload: Mail, { attempt }: { attempt: number }) => mailer.send(payload, attempt);
    return serveTasks({ url: redis, prefix: `${prefix}-app` }, { queue, concurrency, tasks: [{ manifest, run }] });
  };
}

/** The parts of plain BullMQ that a program of either version has. */
export interface PlainProducer {
  readonly queue: Pick<Queue, 'addBulk' | 'add' | 'upsertJobScheduler' | 'getJob' | 'removeJobScheduler' | 'toKey'>;
  readonly flow: Pick<FlowProducer, 'add'>;
}

const add = (options: JobsOptions = {}, failures = 0) => ({ options, failures });

/** Jobs of every kind, by their labels, which are their ids. They are added in this order. */
export const kinds: Readonly<Record<string, { options: JobsOptions; failures: number }>> = {
  waiting: add(),
  'waiting-too': add(),
  lifo: add({ lifo: true }),
  late: add({ delay: 300 }),
  'prioritized-2': add({ priority: 2 }),
  'prioritized-1': add({ priority: 1 }),
  deduplicated: add({ deduplication: { id: 'once' } }),
  'three-attempts': add({ attempts: 3, backoff: 20 }, 2),
  exponential: add({ attempts: 4, backoff: { type: 'exponential', delay: 20 } }, 3),
  'used-up': add({ attempts: 2, backoff: { type: 'fixed', delay: 10 } }, 9),
  'one-attempt': add({}, 9),
  'removed-on-complete': add({ removeOnComplete: true }),
  'removed-on-fail': add({ removeOnFail: true }, 9),
};

const child = (label: string, failures: number, opts: JobsOptions): FlowJob => {
  return { name: 'sendMail', queueName: 'Send_Mail', data: { label, failures }, opts: { ...opts, jobId: label } };
};

/** Parents with their children: one of each goes well, and one fails in each way that BullMQ has. */
export const flows: readonly FlowJob[] = [
  { ...child('parent', 0, {}), children: [child('child-a', 0, {}), child('child-b', 0, {})] },
  { ...child('parent-failed', 0, {}), children: [child('child-failing', 9, { failParentOnFailure: true })] },
  { ...child('parent-ignoring', 0, {}), children: [child('child-ignored', 9, { ignoreDependencyOnFailure: true })] },
];
