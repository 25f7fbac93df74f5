import type { JobJson } from 'bullmq';
import type { ChainableCommander } from 'ioredis';
import type { JobToAdd } from './broker.ts';
import { addArgumentCount } from './bullmq-internals.ts';
import { sendEncoded } from './command-template.ts';
import { toJobOptions } from './job-options.ts';
import { QueueBackend } from './queue-backend.ts';

type Command = Parameters<QueueBackend['execCommand']>;

/** BullMQ's scripts for one queue, as a producer calls them. The keys of each command are encoded once. */
export class JobAdder extends QueueBackend {
  readonly #byText = new WeakSet<object>();

  /** Adds a job to the queue: at once, or to a transaction. Resolves with what BullMQ's script says: an id. */
  add(job: JobToAdd, transaction?: Command[0]): Promise<unknown> {
    const opts = toJobOptions(job);
    const json = {
      name: job.task,
      data: job.payloadJson,
      opts,
      timestamp: this.clock.now(),
      deduplicationId: opts.deduplication?.id,
    };
    return this.addJobToTransaction(transaction ?? (this.redis as unknown as Command[0]), json as JobJson, job.id);
  }

  /** Lets a transaction bring BullMQ's scripts along, for a Redis that does not know them. */
  addByText(transaction: Command[0]): void {
    this.#byText.add(transaction);
  }

  override execCommand(...command: Command): Promise<unknown> {
    const [target, name] = command;
    const script = this.#byText.has(target) ? this.scriptOf(name) : undefined;
    if (script) {
      const call = [script.numberOfKeys, ...(command[2] as string[])] as [number, ...string[]];
      return Promise.resolve((target as unknown as ChainableCommander).eval(script.lua, ...call));
    }
    if ((target as unknown) !== this.redis) return super.execCommand(...command);
    const args = command[2] as (string | Buffer)[];
    const keyCount = args.length - addArgumentCount;
    const template = this.templateOf(name, name, () => ({
      args: [keyCount, ...args],
      holes: [0, 1, 2].map((index) => ({ argument: 2 + keyCount + index })),
    }));
    if (!template) return this.client.then((client) => super.execCommand(client, name, [...args]));
    return sendEncoded(this.redis, template.encode(args.slice(keyCount)), () => this.evaluate(name, args));
  }
}
