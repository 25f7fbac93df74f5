import type { Redis } from 'ioredis';
import { ownKeyNames, queueKey } from './keys.ts';
import { runScript, type Script } from './lua.ts';

/** One queue: the connection to its Redis, and its keys. */
export class QueueHandle {
  readonly client: Redis;
  readonly prefix: string;
  readonly name: string;
  readonly keyStart: string;
  readonly workersKey: string;
  readonly cancelChannel: string;

  constructor(client: Redis, prefix: string, name: string) {
    this.client = client;
    this.prefix = prefix;
    this.name = name;
    this.keyStart = queueKey(prefix, name, '');
    this.workersKey = this.key(ownKeyNames.workers);
    this.cancelChannel = this.key(ownKeyNames.cancel);
  }

  /** Returns a key of the queue by its last part; that of a job's hash is the job's id. */
  key(name: string): string {
    return this.keyStart + name;
  }

  /** Returns the key of a job's result, which is also the pub/sub channel that tells it. */
  resultKey(jobId: string): string {
    return this.key(`result:${jobId}`);
  }

  /** Runs a script on the keys of these names, and then on those that it always takes. */
  run(script: Script, args: readonly (string | number)[], ...names: readonly string[]): Promise<unknown> {
    const keys = [...names, ...script.keys].map((name) => this.keyStart + name);
    return runScript(this.client, script, keys, args);
  }
}
