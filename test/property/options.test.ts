import fc from 'fast-check';
import * as v from 'valibot';
import { expect, test } from 'vitest';
import { recipes } from '../../lab/hostile/arbitraries.ts';
import { buildValue } from '../../lab/hostile/build-value.ts';
import type { HostilePayload, Recipe } from '../../lab/hostile/recipe.ts';
import { defineQueue } from '../../src/manifest/define-queue.ts';
import { defineTask } from '../../src/manifest/define-task.ts';
import { openProducer } from '../../src/producer/producer.ts';
import { createMemoryBroker } from '../../src/testing/memory-broker.ts';
import { UnblockedClock } from '../../src/worker/clock.ts';
import { attack } from '../support/attack.ts';

const payload = v.object({});
const noSecrets: HostilePayload = {
  act: 'return',
  recipe: { is: 'odd', name: 'undefined' },
  token: 'token',
  user: { email: 'email' },
  items: [],
};

/** Numbers beside the ends of the ranges that options have, and what is none. */
const numbers = fc
  .constantFrom<unknown>(-1, 0, 1, 2, 0.5, 99, 100, 1_000, 1e21, 2 ** 31 - 1, 2 ** 31, 2 ** 53, Number.NaN, '900', -0)
  .map((value): Recipe | { is: 'number'; value: unknown } => ({ is: 'number', value }));
const texts = fc
  .constantFrom<unknown>('', 'a', 'fixed', 'simple', 'throttle', 'debounce', 'thread', 'process', 'at-most-once', ['a'])
  .map((value) => ({ is: 'number' as const, value }));
const value = fc.oneof(
  { arbitrary: numbers, weight: 5 },
  { arbitrary: texts, weight: 2 },
  { arbitrary: recipes, weight: 2 },
);
type Given = Readonly<Record<string, Recipe | { is: 'number'; value: unknown }>>;

/** Gives at most three of the options, most of them known ones, values of any kind. */
function optionsOf(...names: string[]): fc.Arbitrary<Given> {
  const name = fc.oneof(
    { arbitrary: fc.constantFrom(...names), weight: 12 },
    { arbitrary: fc.constantFrom('attemps', '__proto__', 'toString', ''), weight: 1 },
  );
  return fc.array(fc.tuple(name, value), { maxLength: 3 }).map((entries) => Object.fromEntries(entries));
}

function build(given: Given): Record<string, unknown> {
  const entries = Object.entries(given).map(([name, recipe]) => {
    return [name, recipe.is === 'number' ? recipe.value : buildValue(recipe, noSecrets)] as const;
  });
  return Object.fromEntries(entries);
}

/** Returns what is wrong with what a function made of its options, or nothing; it may refuse them with one of the codes. */
async function look(codes: readonly string[], make: () => unknown): Promise<string | undefined> {
  try {
    return findUnfitNumber(await make(), '');
  } catch (error) {
    const { code, message } = error as { code?: unknown; message?: unknown };
    if (!codes.includes(String(code))) return `It threw ${String(code)}: ${String(message).slice(0, 300)}`;
    return String(message).length > 2_000 ? `The message has ${String(message).length} characters` : undefined;
  }
}

/** Finds a number that no timer and no counter can hold. */
function findUnfitNumber(made: unknown, path: string): string | undefined {
  if (typeof made === 'number') return Number.isFinite(made) && made >= 0 ? undefined : `It took ${path} as ${made}`;
  if (typeof made !== 'object' || made === null || path.endsWith('payload') || path.endsWith('result'))
    return undefined;
  for (const [key, item] of Object.entries(made)) {
    const found = findUnfitNumber(item, `${path}.${key}`);
    if (found !== undefined) return found;
  }
  return undefined;
}

test('a manifest takes only options that a worker can go by, and refuses others by their name', async () => {
  const ofTask = optionsOf(
    ...['name', 'queue', 'payload', 'result', 'version', 'delivery', 'attempts', 'backoff', 'timeoutMs', 'priority'],
    ...['abandonAfterMs', 'maxPayloadBytes', 'maxResultBytes', 'load', 'pool', 'redact', 'formerNames', 'keepResultMs'],
    ...['retries', 'keepReturnValue'],
  );
  const ofQueue = optionsOf('name', 'concurrency', 'lockDurationMs', 'stalledCheckMs', 'retention', 'budget');
  await attack({
    cases: 1_000,
    values: ofTask,
    attempt: (given) =>
      look(['E_MANIFEST_INVALID'], () => defineTask({ name: 'a', queue: 'b', payload, ...build(given) } as never)),
  });
  await attack({
    cases: 500,
    values: ofQueue,
    attempt: (given) => look(['E_MANIFEST_INVALID'], () => defineQueue({ name: 'a', ...build(given) } as never)),
  });
});

test('an enqueue takes only options that a broker can go by, and refuses others by their name', async () => {
  const clock = new UnblockedClock();
  const producer = openProducer(createMemoryBroker(clock).connectProducer(), 1_000);
  const task = defineTask({ name: 'a', queue: 'b', payload });
  const names = ['delayMs', 'priority', 'id', 'idempotencyMs', 'dedupe', 'keepResultMs'];
  await attack({
    cases: 1_000,
    values: fc.tuple(optionsOf(...names), optionsOf('key', 'mode', 'ttlMs')),
    attempt: ([given, dedupe]) => {
      const options = { ...build(given), ...(Object.keys(dedupe).length > 0 ? { dedupe: build(dedupe) } : {}) };
      return look(['E_ENQUEUE_OPTIONS_INVALID'], async () => {
        await producer.enqueue(task, {}, options as never);
        return options;
      });
    },
  });
  await producer.close();
  clock.close();
  expect(true).toBe(true);
});
