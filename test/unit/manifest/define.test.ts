import { readFileSync } from 'node:fs';
import * as v from 'valibot';
import { describe, expect, test } from 'vitest';
import { isletSettings, readWorkerSettings } from '../../../src/config.ts';
import { poolDefaults, queueDefaults, taskDefaults, workerDefaults } from '../../../src/manifest/defaults.ts';
import { defineQueue, type QueueOptions } from '../../../src/manifest/define-queue.ts';
import { defineTask } from '../../../src/manifest/define-task.ts';

const payload = v.object({ to: v.string() });
const minimal = { name: 'send-email', queue: 'mail', payload };
const define = (options: object) => () => defineTask({ ...minimal, ...options });

describe('defineTask', () => {
  test('fills in every default', () => {
    expect(defineTask(minimal)).toMatchObject({ ...taskDefaults, pool: { kind: taskDefaults.pool } });
  });

  test('takes an option that is undefined for one that is not given', () => {
    const options = { timeoutMs: undefined, redact: undefined, backoff: { delayMs: undefined } };
    expect(define(options)()).toEqual(defineTask(minimal));
    expect(define({ payload: undefined })).toThrow('`payload` is missing. Add it.');
  });

  test.each([
    [{ attemps: 5 }, 'Task "send-email" does not parse: it has no option `attemps`. Did you mean "attempts"?'],
    [{ attempts: 0 }, 'Task "send-email" does not parse: `attempts`: expected an integer from 1 to 1000, got 0.'],
    [{ timeoutMs: '5s' }, '`timeoutMs`: expected an integer from 1 to 2147483647, got "5s".'],
    [{ payload: {} }, '`payload`: expected a Standard Schema (valibot, zod, arktype, ...), got a object.'],
    [{ load: 'later' }, '`load`: expected one of "on-start", "on-first-job", got "later".'],
    [{ backoff: { kind: 'fixed' } }, 'Task "send-email", backoff does not parse: it has no option `kind`.'],
    [{ backoff: { delayMs: 10, maxDelayMs: 5 } }, 'maxDelayMs 5 is below delayMs 10'],
    [{ constructor: 1 }, 'it has no option `constructor`'],
  ])('refuses %j', (options, message) => {
    expect(define(options)).toThrow(expect.objectContaining({ code: 'E_MANIFEST_INVALID' }));
    expect(define(options)).toThrow(message);
  });

  test.each(['Send', 'a_b', '../x', 'a.b', '-a', 'a--b', '', 'x'.repeat(101)])('refuses the name "%s"', (name) => {
    expect(define({ name })).toThrow('expected lower-case words with hyphens, at most 100 characters');
  });

  test.each(['sendWelcome', '__default__', '', ' a b ', 'a:b', '{a}', '\u0000', 'ä€😀', 'x'.repeat(500)])(
    'takes the former name "%s"',
    (name) => {
      expect(define({ formerNames: [name] })()).toMatchObject({ formerNames: [name] });
    },
  );

  test.each(['\ud800', 'x'.repeat(501), 5, undefined])('refuses the former name "%s"', (name) => {
    expect(define({ formerNames: [name] })).toThrow(
      '`formerNames`: expected a list of texts of at most 500 characters, got a list of 1.',
    );
  });

  test('names what is missing', () => {
    expect(() => defineTask({ name: 'x', queue: 'y' } as never)).toThrow('`payload` is missing. Add it.');
  });
});

test("writes results as BullMQ's where the queue is an existing one, unless it says otherwise", () => {
  const mapped = defineQueue({ name: 'mail', bullmq: { name: 'Mail' } });
  const keeps = (options: object) => define(options)().keepReturnValue;
  expect([{}, { queue: mapped }, { queue: mapped, keepReturnValue: false }].map(keeps)).toEqual([false, true, false]);
});

describe('an at-most-once task', () => {
  const once = { delivery: 'at-most-once' };

  test('has one attempt', () => {
    expect(define(once)()).toMatchObject({ delivery: 'at-most-once', attempts: 1 });
    expect(define({ ...once, attempts: 1 })()).toMatchObject({ attempts: 1 });
    expect(define({ ...once, attempts: undefined })()).toMatchObject({ attempts: 1 });
  });

  test('is refused more attempts', () => {
    expect(define({ ...once, attempts: 2 })).toThrow(expect.objectContaining({ code: 'E_MANIFEST_INVALID' }));
    expect(define({ ...once, attempts: 2 })).toThrow(
      'Task "send-email" does not parse: `attempts` is 2, and `delivery` is "at-most-once". A second attempt would be ' +
        'a second start. Remove `attempts`, or `delivery`.',
    );
  });

  test("is refused its jobs' own attempts", () => {
    expect(define({ ...once, retries: 'from-manifest' })()).toMatchObject({ attempts: 1 });
    expect(define({ ...once, retries: 'from-job' })).toThrow(
      'Task "send-email" does not parse: `retries` is "from-job", and `delivery` is "at-most-once". A second attempt of ' +
        'a job would be a second start. Remove `retries`, or `delivery`.',
    );
  });

  test('is refused under another name', () => {
    expect(define({ delivery: 'exactly-once' })).toThrow(
      '`delivery`: expected one of "at-least-once", "at-most-once", got "exactly-once".',
    );
  });
});

describe('defineQueue', () => {
  test('fills in every default', () => {
    expect(defineQueue({ name: 'mail' })).toMatchObject(queueDefaults);
  });

  test('takes an option that is undefined for one that is not given', () => {
    const options = { name: 'mail', concurrency: undefined, retention: { failedCount: undefined } };
    expect(defineQueue(options as QueueOptions)).toEqual(defineQueue({ name: 'mail' }));
  });

  test.each([
    [{ concurrency: Number.NaN }, '`concurrency`: expected an integer from 1 to 10000, got NaN.'],
    [{ lockDurationMs: 10 }, '`lockDurationMs`: expected an integer from 5000 to 2147483647, got 10.'],
    [{ stalledCheckMs: 999 }, '`stalledCheckMs`: expected an integer from 1000 to 2147483647, got 999.'],
    [{ budget: { maxRss: 100 } }, 'Queue "mail", budget does not parse: it has no option `maxRss`.'],
    [
      { budget: { maxRssMb: 0 } },
      'Queue "mail", budget does not parse: `maxRssMb`: expected an integer from 1, got 0.',
    ],
    [
      { budget: { packages: ['a/b/c'] } },
      '`packages`: expected a list of package names, such as "sharp" or "@scope/*"',
    ],
    [{ budget: { packages: 'sharp' } }, '`packages`: expected a list of package names'],
    [{ retention: { failedForMs: 0 } }, 'Queue "mail", retention does not parse: `failedForMs`'],
    [{ bullmq: 'Send_Mail' }, '`bullmq`: expected an object, got "Send_Mail".'],
    [
      { bullmq: { name: 'a:b' } },
      'Queue "mail", bullmq does not parse: `name`: expected a text of 1 to 200 characters',
    ],
    [{ bullmq: { name: '' } }, '`name`: expected a text of 1 to 200 characters without \':\', got "".'],
    [{ bullmq: { name: 7 } }, '`name`: expected a text'],
    [{ bullmq: { prefix: '' } }, '`prefix`: expected a text of 1 to 200 characters, got "".'],
    [{ bullmq: { prefix: '\ud800' } }, '`prefix`: expected a text'],
    [{ bullmq: { queue: 'a' } }, 'bullmq does not parse: it has no option `queue`.'],
  ])('refuses %j', (options, message) => {
    expect(() => defineQueue({ name: 'mail', ...options } as QueueOptions)).toThrow(message);
  });
});

describe('a queue of BullMQ', () => {
  test.each([
    [{}, { name: 'mail', prefix: 'bull' }],
    [{ name: 'Send_Mail' }, { name: 'Send_Mail', prefix: 'bull' }],
    [
      { name: '{a b}', prefix: 'my:app' },
      { name: '{a b}', prefix: 'my:app' },
    ],
  ])('mapped by %j is %j', (bullmq, place) => {
    expect(defineQueue({ name: 'mail', bullmq }).bullmq).toEqual(place);
  });

  test('keeps all jobs that have ended, as a plain worker does, unless it says otherwise', () => {
    const keptBy = (options: object) => defineQueue({ name: 'mail', ...options }).retention;
    expect(keptBy({})).toEqual(queueDefaults.retention);
    expect(new Set(Object.values(keptBy({ bullmq: {} })))).toEqual(new Set([Number.POSITIVE_INFINITY]));
    expect(keptBy({ bullmq: {}, retention: { completedCount: 0 } })).toMatchObject({ completedCount: 0 });
  });

  test('is known from the manifest of a task', () => {
    const mail = defineQueue({ name: 'mail', bullmq: { name: 'Send_Mail' } });
    const task = defineTask({ name: 'a', queue: mail, payload: v.object({}) });
    expect(task).toMatchObject({ queue: 'mail', bullmq: { name: 'Send_Mail', prefix: 'bull' } });
  });

  test('is none where a queue of Islet is given, by its name or its manifest', () => {
    for (const queue of ['mail', defineQueue({ name: 'mail' })]) {
      expect(defineTask({ name: 'a', queue, payload: v.object({}) })).toMatchObject({
        queue: 'mail',
        bullmq: undefined,
      });
    }
  });

  test.each([[{ name: 'mail' }], ['Mail'], [undefined], [null], [7]])('is not %j', (queue) => {
    const define = () => defineTask({ name: 'a', queue: queue as never, payload: v.object({}) });
    expect(define).toThrow(expect.objectContaining({ code: 'E_MANIFEST_INVALID' }));
  });
});

/** Reads `Default: 60_000` out of the docstring above each option. */
function documentedDefaults(file: string): Map<string, string> {
  const source = readFileSync(new URL(`../../../src/${file}.ts`, import.meta.url), 'utf8');
  const pattern = /\/\*\*((?:(?!\*\/)[\s\S])*?)\*\/\s+(?:readonly )?(\w+)\??:/g;
  return new Map(
    [...source.matchAll(pattern)].map(([, text = '', key = '']) => [key, /Default: ([^\s(]+)/.exec(text)?.[1] ?? '']),
  );
}

test.each([
  ['manifest/define-task', { ...taskDefaults, ...taskDefaults.backoff }],
  ['manifest/define-queue', { ...queueDefaults, ...queueDefaults.retention }],
  ['manifest/pool', poolDefaults],
])('the defaults documented in %s are those in force', (file, defaults) => {
  const documented = documentedDefaults(file);
  expect(documented.size).toBeGreaterThan(1);
  const numbers = Object.entries(defaults).filter(
    ([key]) => documented.has(key) && key !== 'backoff' && key !== 'retention',
  );
  expect(numbers.length).toBeGreaterThan(1);
  for (const [key, value] of numbers) {
    const text = (documented.get(key) ?? '').replaceAll(/[_"]|\.$/g, '');
    expect(`${key}: ${text}`).toBe(`${key}: ${value}`);
  }
});

test('the defaults documented in config are those in force', () => {
  const settings = Object.entries(isletSettings.worker);
  const documented = settings.map(([name, { doc }]) => [name, /Default: (\S+)\.$/.exec(doc)?.[1]]);
  expect(readWorkerSettings({ worker: Object.fromEntries(documented) })).toEqual(workerDefaults);
});

test('a value that cannot be looked at is refused as any other wrong one', () => {
  const refuse = () => {
    throw new Error('no');
  };
  const { proxy, revoke } = Proxy.revocable({}, {});
  revoke();
  for (const value of [proxy, { toString: refuse }, [new Proxy({}, { get: refuse, has: refuse })]]) {
    const wrong = expect.objectContaining({ code: 'E_MANIFEST_INVALID' });
    expect(() => defineTask({ name: value, queue: 'mail', payload: v.object({}) } as never)).toThrow(wrong);
    expect(() => defineTask({ name: 'send', queue: 'mail', payload: value } as never)).toThrow(wrong);
    expect(() => defineQueue({ name: value } as never)).toThrow(wrong);
  }
  for (const value of [proxy, new Proxy({}, { ownKeys: refuse })]) {
    const wrong = expect.objectContaining({ code: 'E_MANIFEST_INVALID' });
    expect(() => defineQueue({ name: 'mail', retention: value } as never)).toThrow(wrong);
  }
});
