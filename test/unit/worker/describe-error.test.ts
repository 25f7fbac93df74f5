import { runInNewContext } from 'node:vm';
import { describe, expect, test } from 'vitest';
import { IsletError, PermanentError, tellFailure } from '../../../src/errors.ts';
import { redactionOf } from '../../../src/manifest/redact.ts';
import { internalError, toFailure } from '../../../src/worker/describe-error.ts';
import { carryError, reviveError } from '../../../src/worker/pools/carried-error.ts';
import { hostileValues } from '../../support/hostile-values.ts';

/** Carries an error as from a thread or process to its worker. */
const cross = (thrown: unknown) => reviveError(JSON.parse(JSON.stringify(carryError(thrown))));

function fetchFailed(): Error {
  const refused = Object.assign(new Error('connect failed to 10.0.0.1:5432'), { code: 'ECONNREFUSED' });
  return new TypeError('fetch failed', { cause: new AggregateError([refused, refused], 'all failed') });
}

describe('what a thrown value says', () => {
  test.each(Object.entries(hostileValues))('is told within bounds and time of %s', (_, make) => {
    const thrown = make();
    const startedAt = performance.now();
    const failure = toFailure(thrown, { redact: ['*'] }, { input: { secret: 'hunter2' } });
    expect(performance.now() - startedAt).toBeLessThan(1_000);
    expect(failure.code).toBe('E_TASK_FAILED');
    expect(failure.causeMessage).not.toBe('what was thrown cannot be described');
    expect(JSON.stringify(failure).length).toBeLessThan(30_000);
  });

  test.each(Object.entries(hostileValues))('crosses from a pool, of %s', (_, make) => {
    const thrown = make();
    const startedAt = performance.now();
    const crossed = toFailure(cross(thrown));
    expect(performance.now() - startedAt).toBeLessThan(1_000);
    expect(crossed.causeMessage).not.toBe('what was thrown cannot be described');
  });

  test.each([
    [{ code: 7, message: 'no' }, '{"code":7,"message":"no"}'],
    [[1, 'two', undefined], '[1,"two","undefined"]'],
    [
      { at: new Date(0), map: new Map(), f() {}, n: 5n },
      '{"at":"1970-01-01T00:00:00.000Z","map":{},"f":"[function]","n":"5"}',
    ],
    [Promise.resolve(), 'a thrown Promise'],
    [new URL('http://host/a'), 'http://host/a'],
    [new Map(), 'a thrown Map'],
    [Object.defineProperty(new Error(), 'message', { value: { why: 'x' } }), '{"why":"x"}'],
  ])('is its JSON or its text (%#)', (thrown, text) => {
    expect(toFailure(thrown).causeMessage).toBe(text);
  });

  test('has the chain of causes with their codes, the same out of a pool', () => {
    const failure = toFailure(fetchFailed());
    expect(failure.causes).toEqual([
      { name: 'AggregateError', message: 'all failed' },
      { name: 'Error', message: 'connect failed to 10.0.0.1:5432', code: 'ECONNREFUSED' },
    ]);
    expect(tellFailure(failure)).toBe(
      'TypeError: fetch failed; caused by AggregateError: all failed; ' +
        'caused by Error: connect failed to 10.0.0.1:5432 (ECONNREFUSED)',
    );
    const crossed = toFailure(cross(fetchFailed()));
    expect(crossed.causes?.at(-1)).toEqual(failure.causes?.at(-1));
    expect(crossed.causes).toHaveLength(3);
  });

  test('has the code and the detail of a database error', () => {
    const thrown = Object.assign(new Error('duplicate key'), { code: '23505', detail: 'Key (id)=(5) already exists.' });
    const failure = toFailure(thrown);
    expect(failure).toMatchObject({ causeCode: '23505', causeDetail: 'Key (id)=(5) already exists.' });
    expect(tellFailure(failure)).toBe('Error: duplicate key (23505: Key (id)=(5) already exists.)');
  });

  test('is that of an error of another realm', () => {
    const thrown = runInNewContext(
      'Object.assign(new RangeError("far"), { code: "EFAR", cause: new Error("farther") })',
    );
    for (const error of [thrown, cross(thrown)]) {
      expect(toFailure(error)).toMatchObject({
        causeName: 'RangeError',
        causeMessage: 'far',
        causeCode: 'EFAR',
        causes: [{ message: 'farther' }],
      });
    }
  });

  test('has no more than ten causes, each once', () => {
    let error = new Error('last');
    for (let level = 0; level < 100; level += 1) error = new Error(`level ${level}`, { cause: error });
    expect(toFailure(error).causes).toHaveLength(10);
  });

  test('has the code of an error of Islet alone', () => {
    expect(toFailure(new PermanentError('gone'))).toMatchObject({ code: 'E_TASK_PERMANENT' });
    expect('causeCode' in toFailure(new PermanentError('gone'))).toBe(false);
    const odd = Object.defineProperty(new IsletError('E_X', 'x'), 'code', { value: { toString: null } });
    expect(toFailure(odd).code).toBe('E_TASK_FAILED');
  });
});

describe('a redacted value', () => {
  const input = { user: { email: 'anna@example.org', pin: '42' }, token: `T${'k'.repeat(500)}` };
  const redact = ['user.email', 'user.pin', 'token'];

  test.each(['name', 'message', 'stack', 'detail', 'code'])('is told nowhere: in `%s`', (name) => {
    const thrown = Object.defineProperty(new Error('x'), name, { value: 'for anna@example.org', enumerable: true });
    const outer = new Error('outer', { cause: thrown });
    for (const error of [thrown, outer, cross(outer)]) {
      const text = JSON.stringify(toFailure(error, { redact }, { input }));
      expect(text).not.toContain('anna@');
      if (name !== 'stack' || error === thrown) expect(text).toContain('for [redacted]');
    }
  });

  test('does not garble a text by chance, when it is short', () => {
    expect(toFailure(new Error('HTTP 428'), { redact }, { input }).causeMessage).toBe('HTTP 428');
  });

  test('is withheld by its field, when it is short', () => {
    expect(toFailure({ user: { pin: '42', age: 42 } }, { redact }, { input }).causeMessage).toBe(
      '{"user":{"pin":"[redacted]","age":42}}',
    );
  });

  test.each([3_990, 3_999, 3_985])('does not stay half at the cut, from character %d on', (at) => {
    const { causeMessage } = toFailure(
      new Error(`${'x '.repeat(at / 2)}anna@example.org and more`),
      { redact },
      { input },
    );
    expect(causeMessage.length).toBeLessThanOrEqual(4_000);
    expect(causeMessage).not.toMatch(/ ?an?n?a?@?e?$/);
  });

  test('is withheld as far as it is told, when it is long', () => {
    const { causeMessage } = toFailure(new Error(`bad token "${input.token.slice(0, 200)}..."`), { redact }, { input });
    expect(causeMessage).toBe('bad token "[redacted]..."');
  });

  test('is the password of a URL that was cut, too', () => {
    const text = `${'x'.repeat(3_980)} https://anna:hunter2secret@host/`;
    expect(toFailure(new Error(text)).causeMessage).not.toContain('hunter');
  });

  test('may hold half of a surrogate pair', () => {
    const failure = toFailure(new Error('about x\ud83dy'), { redact: ['mood'] }, { input: { mood: 'x\ud83dy' } });
    expect(failure.causeMessage).toBe('about [redacted]');
  });

  test('is looked for in a time that grows with the text alone', () => {
    const many = { list: Array.from({ length: 60_000 }, (_, index) => `id-${index}`) };
    const startedAt = performance.now();
    const failure = toFailure(new Error('id-59999 of id-x '.repeat(10_000)), { redact: ['list'] }, { input: many });
    expect(performance.now() - startedAt).toBeLessThan(1_000);
    expect(failure.causeMessage).toMatch(/^\[redacted\] of id-x \[redacted\]/);
  });
});

test('an error of Islet itself says so, and has the stack of what was thrown', () => {
  const error = internalError(new TypeError('x is undefined'));
  expect(toFailure(error)).toMatchObject({
    code: 'E_INTERNAL',
    causeMessage:
      'Islet itself failed, and not the task: TypeError: x is undefined. Please report it, with the stack in the log.',
    stack: expect.stringContaining('describe-error.test.ts'),
  });
});

describe('a secret', () => {
  const secret = 'S3CR3T "\\\u0000\ud800';
  const inside = (levels: number): unknown =>
    levels === 0
      ? JSON.stringify({ card: secret })
      : { [`in ${secret}`]: new Error('', { cause: inside(levels - 1) }) };
  const messages: [string, unknown][] = [
    ['as JSON in a field', { text: JSON.stringify({ card: secret }) }],
    ['as JSON in the message of an error in a field', { error: withMessage({ text: JSON.stringify([secret]) }) }],
    ['as the name of a field', inside(2)],
  ];

  function withMessage(message: unknown): Error {
    return Object.defineProperty(new Error(), 'message', { value: message });
  }

  test.each(messages)('is not told where it stands %s, nor out of a pool', (_, value) => {
    const input = { token: secret };
    const redaction = redactionOf({ redact: ['token'] }, { input });
    for (const thrown of [value, withMessage(value), new Error('outer', { cause: withMessage(value) })]) {
      const crossed = reviveError(JSON.parse(JSON.stringify(carryError(thrown, redaction))));
      for (const one of [thrown, crossed]) {
        expect(JSON.stringify(toFailure(one, { redact: ['token'] }, { input }))).not.toContain('S3CR3T');
      }
    }
  });
});

test.each([
  '',
  'a secret',
  'E_lower',
  7,
  {
    toString() {
      throw new Error('no');
    },
  },
])('the code of an error of Islet that a task has changed into %j is not told as one', (code) => {
  const changed = Object.defineProperty(new PermanentError('no'), 'code', { value: code });
  expect(toFailure(changed).code).toBe('E_TASK_FAILED');
});
