import { type QueueBaseOptions, QueueKeys, RedisConnection, RedisQueueBackend } from 'bullmq';
import type { Redis } from 'ioredis';
import { type BullmqScript, findScript } from './bullmq-internals.ts';
import { CommandTemplate, type Hole } from './command-template.ts';
import { isUnknownScript } from './lua.ts';
import type { QueueHandle } from './queue-handle.ts';
import type { SharedClock } from './redis-clock.ts';

/** The arguments of EVALSHA behind the hash: the number of keys, the keys, and what the script takes. */
type ScriptCall = { args: readonly (string | number | Buffer)[]; holes: readonly Hole[] };

/** BullMQ's scripts for one queue, over the connection of a handle, which stays open when this is closed. */
export class QueueBackend extends RedisQueueBackend {
  protected readonly redis: Redis;
  protected readonly clock: SharedClock;
  readonly #templates = new Map<string, CommandTemplate>();

  constructor({ client, clock, place: { prefix, name } }: QueueHandle, options: QueueBaseOptions) {
    // With its version check, BullMQ would print what `checkRedisSettings` has said.
    const connection = new RedisConnection(client, { shared: true, blocking: false, skipVersionCheck: true });
    const keys = new QueueKeys(prefix);
    super(connection, name, keys.getKeys(name), (type) => keys.toKey(name, type), options);
    this.redis = client;
    this.clock = clock;
  }

  protected scriptOf(name: string): BullmqScript | undefined {
    return findScript(this.redis, `${name}:${this.version}`);
  }

  /** Calls a script of BullMQ's by its text, which no Redis can have forgotten. */
  protected evaluate(name: string, args: readonly (string | number | Buffer)[]): Promise<unknown> {
    const script = this.scriptOf(name);
    if (!script) throw new Error(`BullMQ has not defined its script "${name}".`);
    return this.redis.eval(script.lua, script.numberOfKeys, ...args.map((argument) => argument ?? ''));
  }

  /** ioredis sends a script that Redis does not know by its hash again, and may by then be told the same once more. */
  override async execCommand(...command: Parameters<RedisQueueBackend['execCommand']>): Promise<unknown> {
    try {
      return await super.execCommand(...command);
    } catch (error) {
      if (!isUnknownScript(error)) throw error;
      return this.evaluate(command[1], command[2] as (string | number | Buffer)[]);
    }
  }

  /** Returns the template of all calls of one kind, made at the first; undefined before BullMQ has defined the script. */
  protected templateOf(kind: string, script: string, first: () => ScriptCall): CommandTemplate | undefined {
    const known = this.#templates.get(kind);
    const sha = known ? undefined : this.scriptOf(script)?.sha;
    if (sha === undefined) return known;
    const { args, holes } = first();
    const template = new CommandTemplate('evalsha', [sha, ...args], holes);
    this.#templates.set(kind, template);
    return template;
  }
}
