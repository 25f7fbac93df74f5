import type { JobJson } from 'bullmq';
import type { JobToAdd } from './broker.ts';
import { addArgumentCount } from './bullmq-internals.ts';
import { sendEncoded } from './command-template.ts';
import { toJobOptions } from './job-options.ts';
import { QueueBackend } from './queue-backend.ts';

type Command = Parameters<QueueBackend['execCommand']>;
type Target = Command[0];

/** BullMQ's scripts for one queue, as a producer calls them. The keys of each command are encoded once. */
export class JobAdder extends QueueBackend {
  /** Adds a job to the queue: at once, or to a transaction. Resolves with what BullMQ's script says: an id. */
  add(job: JobToAdd, transaction?: Target): Promise<unknown> {
    const opts = toJobOptions(job);
    const json = {
      name: job.task,
      data: job.payloadJson,
      opts,
      timestamp: Date.now(),
      deduplicationId: opts.deduplication?.id,
    };
    return this.addJobToTransaction(transaction ?? (this.redis as unknown as Target), json as JobJson, job.id);
  }

  override execCommand(...command: Command): Promise<unknown> {
    const [target, name, args] = command;
    if ((target as unknown) !== this.redis) return super.execCommand(...command);
    return this.#send(name, args as (string | Buffer)[]);
  }

  #send(name: string, args: readonly (string | Buffer)[]): Promise<unknown> {
    const keyCount = args.length - addArgumentCount;
    const template = this.templateOf(name, name, () => ({
      args: [keyCount, ...args],
      holes: [0, 1, 2].map((index) => ({ argument: 2 + keyCount + index })),
    }));
    if (!template) return this.#sendPlainly(name, args);
    return sendEncoded(this.redis, template.encode(args.slice(keyCount)), () => this.#sendPlainly(name, args));
  }

  /** Sends a command in BullMQ's own way, which brings the script to a Redis that does not know it. */
  async #sendPlainly(name: string, args: readonly (string | Buffer)[]): Promise<unknown> {
    return super.execCommand(await this.client, name, [...args]);
  }
}
