import { isDeepStrictEqual } from 'node:util';
import fc from 'fast-check';
import { afterEach, describe, expect, test } from 'vitest';
import { character, recipes } from '../../lab/hostile/arbitraries.ts';
import { buildValue } from '../../lab/hostile/build-value.ts';
import { type HostilePayload, passwordMark, type Recipe } from '../../lab/hostile/recipe.ts';
import { taskDefaults } from '../../src/manifest/defaults.ts';
import { createProducer } from '../../src/producer.ts';
import anything from '../fixtures/hostile/tasks/anything/manifest.ts';
import good from '../fixtures/hostile/tasks/good/manifest.ts';
import { attack } from '../support/attack.ts';
import { type BrokerName, HostileWorker } from '../support/hostile-worker.ts';
import { testRedisUrl } from '../support/redis-place.ts';
import { throughJson, travelled } from '../support/travelled.ts';

const resultLimitMs = 5_000;
const noSecrets: HostilePayload = {
  act: 'enqueue',
  recipe: { is: 'odd', name: 'undefined' },
  token: 'token',
  user: { email: 'email' },
  items: [],
};

interface Thrown {
  code?: unknown;
  message: string;
}

/** Returns what is wrong with an error that refuses something, or nothing. */
function findWrongRefusal(error: unknown, code: string): string | undefined {
  const thrown = error as Thrown;
  if (thrown?.code !== code) return `It was refused with ${thrown?.code}: ${String(thrown?.message).slice(0, 300)}`;
  if (thrown.message.length > 2_000) return `The message has ${thrown.message.length} characters`;
  return thrown.message.includes(passwordMark) ? `The message shows a password: ${thrown.message}` : undefined;
}

describe.each<BrokerName>(['memory', 'redis'])('on the broker "%s"', (broker) => {
  let worker: HostileWorker;

  const open = async () => {
    worker = await HostileWorker.open({ broker, pool: 'async' });
  };

  const recover = async () => {
    await worker.close();
    await open();
  };

  afterEach(() => worker.close());

  /** Enqueues a value as a payload, and looks at what comes back of it. */
  async function tryPayload(recipe: Recipe): Promise<string | undefined> {
    const value = buildValue(recipe, noSecrets);
    // The value may change when it is read.
    const travel = travelled(buildValue(recipe, noSecrets));
    let result: unknown;
    try {
      const handle = await worker.producer.enqueue(anything, value);
      result = await handle.result({ timeoutMs: resultLimitMs });
    } catch (error) {
      if (travel.kind === 'arrives' && fits(travel.value))
        return `JSON was refused: ${(error as Error).message.slice(0, 300)}`;
      return findWrongRefusal(error, 'E_PAYLOAD_INVALID');
    }
    if (travel.kind === 'refused') return `It arrived as ${String(JSON.stringify(result)).slice(0, 300)}`;
    const wanted = travel.kind === 'arrives' ? travel.value : throughJson(value);
    return isDeepStrictEqual(throughJson(result), wanted)
      ? undefined
      : `It arrived as ${JSON.stringify(result).slice(0, 300)}`;
  }

  test('each payload arrives as it was, or is refused at once', async () => {
    await open();
    await attack({ cases: 1_500, atOnce: 20, values: recipes, attempt: tryPayload, recover });
    expect(worker.strays).toEqual([]);
  }, 60_000);

  /** Runs a job under an id of the caller's own. */
  async function tryId(id: unknown): Promise<string | undefined> {
    let accepted: { id: string; accepted: boolean };
    try {
      accepted = await worker.producer.enqueue(good, {}, { id } as { id: string });
    } catch (error) {
      return findWrongRefusal(error, 'E_ENQUEUE_OPTIONS_INVALID');
    }
    if (accepted.id !== id || !accepted.accepted) return `It was taken as ${JSON.stringify(accepted)}`;
    const { starts, settled } = await worker.watch.over(accepted.id, resultLimitMs);
    if (starts !== 1 || settled.length !== 1) return `It was started ${starts} times, settled ${settled.length} times`;
    const again = await worker.producer.enqueue(good, {}, { id: accepted.id });
    if (again.accepted || again.id !== id) return `The second one was taken as ${JSON.stringify(again)}`;
    const found = await worker.producer.cancel(accepted.id);
    return found.found === 'nowhere' || found.found === 'finished' ? undefined : `It was found as ${found.found}`;
  }

  test('each id stands for one job, or is refused before it is sent', async () => {
    await open();
    const ids = fc.oneof(
      { arbitrary: fc.string({ unit: character, maxLength: 8 }).map((text) => unique(text)), weight: 6 },
      { arbitrary: fc.constantFrom<unknown>('', ' ', '1', '-1', 'wait', 'meta', null, 5, [], {}, true), weight: 1 },
    );
    await attack({ cases: 1_000, atOnce: 20, values: ids, attempt: tryId, recover });
    expect(worker.strays).toEqual([]);
  }, 60_000);
});

/** Tells whether a payload is not too long. */
const fits = (value: unknown) => Buffer.byteLength(JSON.stringify(value)) <= taskDefaults.maxPayloadBytes;

let lastNumber = 0;
/** No two cases have one id; it stays short, and keeps the characters that make it odd. */
const unique = (text: string) => `${text}-${process.pid}-${++lastNumber}`;

describe('a producer', () => {
  const oddities = fc.constantFrom<unknown>(
    undefined,
    null,
    '',
    'x',
    '900',
    -1,
    0,
    1,
    99.5,
    1e21,
    2 ** 31,
    Number.NaN,
    [],
    {},
    true,
  );
  const address = new URL(testRedisUrl());
  const ends = fc.constantFrom(
    '',
    '/',
    '/0',
    '/1/2',
    '/abc',
    '/-1',
    '/99999',
    '?foo=bar',
    '?db=x',
    '#x',
    '/0?family=9',
  );
  const urls = fc.oneof(
    fc
      .tuple(
        fc.constantFrom('redis://', 'redis:', 'redis//', 'rediss:/', 'http://', 'REDIS://', 'unix://', ''),
        fc.constantFrom(`user:${passwordMark}@`, `:${passwordMark}@`, `u:${passwordMark}/@`, `u:${passwordMark}#@`, ''),
        fc.constantFrom(address.host, '127.0.0.1:1', '', '127.0.0.1:99999', '[::1', '127.0.0.1'),
        ends,
      )
      .map((parts) => parts.join('')),
    ends.map((end) => `redis://${address.host}${end}`),
    oddities,
  );
  const values = fc.record(
    {
      redis: urls,
      prefix: fc.oneof(oddities, fc.string({ unit: character, maxLength: 5 })),
      timeoutMs: fc.oneof({ arbitrary: fc.constant<unknown>(300), weight: 3 }, { arbitrary: oddities, weight: 1 }),
      timeout: oddities,
    },
    { requiredKeys: ['redis'], noNullPrototype: true },
  );
  const longestMs = 3_500;

  /** Makes a producer, and uses it once: what is wrong with its options is said to whoever gave them. */
  async function tryProducer(options: { timeoutMs?: unknown }): Promise<string | undefined> {
    const startedAt = performance.now();
    let producer: ReturnType<typeof createProducer>;
    try {
      producer = createProducer(options as never);
    } catch (error) {
      return findWrongProducerError(error);
    }
    const { timeoutMs } = options;
    if (timeoutMs !== undefined && !(Number.isInteger(timeoutMs) && Number(timeoutMs) >= 100)) {
      await producer.close();
      return `timeoutMs ${String(timeoutMs)} was taken`;
    }
    if ('timeout' in options && options.timeout !== undefined) return 'An unknown option was taken';
    // It need not wait longer than the options of this case say.
    if (Number(timeoutMs ?? 900) > 1_000) return void (await producer.close());
    try {
      await producer.counts('hostile');
    } catch (error) {
      const wrong = findWrongProducerError(error);
      if (wrong !== undefined) return wrong;
    } finally {
      await producer.close();
    }
    const tookMs = performance.now() - startedAt;
    return tookMs > longestMs ? `It took ${tookMs} ms` : undefined;
  }

  function findWrongProducerError(error: unknown): string | undefined {
    const { code, message } = error as Thrown;
    if (!/^E_[A-Z_]+$/.test(String(code))) return `It threw ${String(error).slice(0, 300)}`;
    return message.includes(passwordMark) ? `The message shows a password: ${message}` : undefined;
  }

  test('takes only options that it can use, says so at once, and rejects nothing unheard', async () => {
    const strays: string[] = [];
    const onStray = (error: unknown) => void strays.push(String(error));
    process.on('unhandledRejection', onStray);
    process.on('uncaughtException', onStray);
    try {
      const attempt = async (options: object) => (await tryProducer(options)) ?? strays[0];
      await attack({ cases: 500, atOnce: 20, values, attempt, recover: async () => void strays.splice(0) });
      expect(strays).toEqual([]);
    } finally {
      process.off('unhandledRejection', onStray);
      process.off('uncaughtException', onStray);
    }
  }, 60_000);
});
