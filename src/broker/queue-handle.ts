import type { Redis } from 'ioredis';
import { channelOf, ownKeyNames, type QueuePlace, queueKey } from './keys.ts';
import { runScript, type Script } from './lua.ts';
import { machineClock, type SharedClock } from './redis-clock.ts';

/** One queue: the connection to its Redis, and its keys. */
export class QueueHandle {
  readonly client: Redis;
  /** The time by which delays and crashes are counted. */
  readonly clock: SharedClock;
  readonly place: QueuePlace;
  /** The queue's name in the app. */
  readonly name: string;
  readonly keyStart: string;
  readonly workersKey: string;
  readonly cancelChannel: string;

  constructor(client: Redis, place: QueuePlace, clock: SharedClock = machineClock) {
    this.client = client;
    this.clock = clock;
    this.place = place;
    this.name = place.queue;
    this.keyStart = queueKey(place, '');
    this.workersKey = this.key(ownKeyNames.workers);
    this.cancelChannel = channelOf(this.key(ownKeyNames.cancel), client.options.db ?? 0);
  }

  /** Returns a key of the queue by its last part; that of a job's hash is the job's id. */
  key(name: string): string {
    return this.keyStart + name;
  }

  /** Returns the key of a job's result. */
  resultKey(jobId: string): string {
    return this.key(`result:${jobId}`);
  }

  /** Returns the pub/sub channel that wakes those who wait for a job's result. */
  resultChannel(jobId: string): string {
    return channelOf(this.resultKey(jobId), this.client.options.db ?? 0);
  }

  /** Runs a script on the keys of these names, and then on those that it always takes. */
  run(script: Script, args: readonly (string | number)[], ...names: readonly string[]): Promise<unknown> {
    const keys = [...names, ...script.keys].map((name) => this.keyStart + name);
    return runScript(this.client, script, keys, args);
  }
}
