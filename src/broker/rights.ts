import { IsletError } from '../errors.ts';
import { channelOf } from './keys.ts';
import { defineScript, runScript } from './lua.ts';
import type { QueueHandle } from './queue-handle.ts';

/** All commands that a worker sends or calls in scripts, with arguments that change nothing but the key of the trial. */
export const triedCommands: readonly (readonly [name: string, ...args: (string | number)[]])[] = [
  ...(
    ['EXISTS', 'GET', 'HGETALL', 'INCR', 'LLEN', 'PERSIST', 'PTTL', 'SCARD', 'SMEMBERS', 'TYPE', 'ZCARD'] as const
  ).map((name) => [name, 'key'] as const),
  ...(['HDEL', 'HEXISTS', 'HGET', 'HMGET', 'LPOS', 'LPUSH', 'RPUSH', 'SADD', 'SREM', 'ZREM', 'ZSCORE'] as const).map(
    (name) => [name, 'key', 'a'] as const,
  ),
  ...(['LRANGE', 'LTRIM', 'ZRANGE', 'ZREVRANGE', 'ZREMRANGEBYRANK'] as const).map(
    (name) => [name, 'key', 0, 0] as const,
  ),
  ...(['ZRANGEBYSCORE', 'ZREVRANGEBYSCORE', 'ZREMRANGEBYSCORE', 'ZADD'] as const).map(
    (name) => [name, 'key', 0, name === 'ZADD' ? 'a' : 0] as const,
  ),
  ...(['HSET', 'HMSET', 'HSETNX'] as const).map((name) => [name, 'key', 'a', 1] as const),
  ...([
    ['HINCRBY', 'key', 'a', 1],
    ['LREM', 'key', 0, 'a'],
    ['PEXPIRE', 'key', 1_000],
    ['SET', 'key', 1],
  ] as const),
  ...([
    ['RPOPLPUSH', 'key', 'key'],
    ['XADD', 'key', '*', 'a', 1],
    ['XTRIM', 'key', 'MAXLEN', 1],
  ] as const),
  ...([
    ['ZPOPMIN', 'key'],
    ['BZPOPMIN', 'key', 1],
    ['PUBLISH', 'channel', ''],
    ['TIME'],
    ['RENAME', 'key', 'key'],
  ] as const),
  ['DEL', 'key'],
];

const toLua = (argument: string | number) =>
  argument === 'key' || argument === 'channel' ? argument : `'${argument}'`;

/** Tries each command on a key of its own, and returns the names of those that the user may not run there. */
const tryCommands = defineScript('islet:rights')`
local key, channel = KEYS[1], ARGV[1]
local denied = {}
for _, command in ipairs({${triedCommands.map((command) => `{${command.map(toLua).join(', ')}}`).join(', ')}}) do
  local reply = redis.pcall(unpack(command))
  local said = type(reply) == 'table' and reply.err or ''
  if string.find(said, 'NOPERM') or string.find(said, 'executing the script can') or string.find(said, 'o permissions') then
    denied[#denied + 1] = string.lower(command[1])
  end
end
return denied
`;

/** Names the commands that the user in REDIS_URL may not run on the keys of a queue. Throws what Redis says of all. */
export async function findDenied(queue: QueueHandle): Promise<string[]> {
  const key = queue.key('islet:rights');
  const channel = channelOf(key, queue.client.options.db ?? 0);
  const denied = (await runScript(queue.client, tryCommands, [key], [channel])) as string[];
  await queue.client.multi().exists(key).exec();
  return denied;
}

/** Throws `E_REDIS_DENIED` when the user in REDIS_URL lacks a right that a worker of the queue needs. */
export async function checkRights(queue: QueueHandle): Promise<void> {
  const denied = await findDenied(queue);
  if (denied.length === 0) return;
  const seen = `The user in REDIS_URL may not run ${nameAll(denied)}, which a worker of queue "${queue.name}" needs.`;
  throw new IsletError('E_REDIS_DENIED', `${seen} ${rightsAdvice}`);
}

export const rightsAdvice =
  'Give the user rights to the keys and channels that start with `redis.prefix`, and with the `bullmq.prefix` of a mapped queue.';

export function nameAll(commands: readonly string[]): string {
  return commands.map((name) => `"${name}"`).join(', ');
}
