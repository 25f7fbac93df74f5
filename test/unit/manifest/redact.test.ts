import * as v from 'valibot';
import { describe, expect, test } from 'vitest';
import { defineTask } from '../../../src/manifest/define-task.ts';
import type { JobMeta } from '../../../src/manifest/meta.ts';
import { isTooDeep } from '../../../src/manifest/nesting.ts';
import { parsePayload } from '../../../src/manifest/parse-payload.ts';
import { type RedactedJob, Redaction } from '../../../src/manifest/redact.ts';
import { nest } from '../../support/hostile-values.ts';

const hide = (redact: string[], job: RedactedJob, text: string) => new Redaction(redact, job).text(text);

describe('a path of `redact`', () => {
  test.each([
    [['user.email'], { user: { email: 'a@b.c' } }, 'to a@b.c', 'to [redacted]'],
    [['items.*.card'], { items: [{ card: 'first' }, { card: 'second' }] }, 'first second', '[redacted] [redacted]'],
    [['user'], { user: { deep: [{ er: 'secret' }] } }, 'a secret', 'a [redacted]'],
    [['*'], { a: 'one', b: { c: 12345 } }, 'one 12345', '[redacted] [redacted]'],
    [['*'], 'the text itself', 'the text itself!', '[redacted]!'],
    [['*.id'], { a: { id: 'abc' }, b: { id: 'def' } }, 'abc def', '[redacted] [redacted]'],
    [['odd.name'], { 'odd.name': 'secret' }, 'secret', '[redacted]'],
    [['a'], { a: ['long', 'longer'] }, 'longer long', '[redacted] [redacted]'],
    [['a'], { a: 'say "hi"' }, '{"a":"say \\"hi\\""}', '{"a":"[redacted]"}'],
    [['a'], { a: 'a b&c' }, '?q=a%20b%26c', '?q=[redacted]'],
    [['a'], { a: '40' }, 'HTTP 404', 'HTTP 404'],
    [['a', 'b.c'], { a: null, b: 5 }, 'null 5', 'null 5'],
    [['missing.field'], { a: 1 }, 'text', 'text'],
  ])('%j hides its values in a text', (redact, input, text, hidden) => {
    expect(hide(redact, { input }, text)).toBe(hidden);
  });

  const meta = { token: 'hunter2', tenant: 'acme', n: '7' };
  test.each<[string[], unknown, object, string, string]>([
    [['meta.token'], { to: 'a' }, meta, 'hunter2 of acme', '[redacted] of acme'],
    [['meta'], 'a payload', meta, 'hunter2 of acme', '[redacted] of [redacted]'],
    [['meta.*'], ['a list'], meta, 'hunter2 of acme', '[redacted] of [redacted]'],
    [['*'], { to: 'somebody' }, meta, 'hunter2 to somebody', '[redacted] to [redacted]'],
    [['*'], 5, meta, 'hunter2', '[redacted]'],
    [['*.token'], { user: { token: 'other' } }, meta, 'hunter2 other', '[redacted] [redacted]'],
    [['meta.token'], { meta: { token: 'inside' } }, meta, 'hunter2 inside', '[redacted] [redacted]'],
    [['meta.a.b'], {}, { 'a.b': 'hunter2' }, 'hunter2', '[redacted]'],
    [['token'], {}, meta, 'hunter2', 'hunter2'],
  ])('%j hides its values in a text, for a payload %j and a meta %j', (redact, input, given, text, hidden) => {
    expect(hide(redact, { input, meta: given as JobMeta }, text)).toBe(hidden);
  });

  test.each<[string[], object, object]>([
    [['meta.n'], { meta: { n: '7', m: '7' } }, { meta: { n: '[redacted]', m: '7' } }],
    [['meta'], { meta: { n: '7' } }, { meta: '[redacted]' }],
    [['*'], { meta: { n: '7' }, n: '7', m: '7' }, { meta: '[redacted]', n: '[redacted]', m: '7' }],
  ])('%j hides a short value of a meta in its field', (redact, told, hidden) => {
    expect(new Redaction(redact, { input: {}, meta }).json(told)).toEqual(hidden);
  });

  test('`*` hides no field `meta` of a job that has none', () => {
    expect(new Redaction(['*'], { input: {}, meta: {} }).json({ meta: { n: '7' } })).toEqual({ meta: { n: '7' } });
  });

  test.each([[''], ['a..b'], ['.a'], ['items[0].card'], ['items[*]'], [5 as never]])('%j is refused', (path) => {
    const make = () => defineTask({ name: 'a', queue: 'b', payload: v.any(), redact: [path] });
    expect(make).toThrow(
      'Task "a" does not parse: `redact`: expected a list of paths such as "email", "user.email", "items.*.card" or "*"',
    );
  });
});

test('an error of a schema does not show a redacted value, at any depth, nor a list that holds it', () => {
  const payload = v.object({ items: v.array(v.object({ card: v.pipe(v.string(), v.minLength(99)), n: v.number() })) });
  const manifest = defineTask({ name: 'a', queue: 'b', payload, redact: ['items.*.card'] });
  const refuse = (given: unknown) => () => parsePayload(manifest, given);
  expect(refuse({ items: [{ card: 'hunter2', n: 1 }] })).toThrow('got a string of length 7 (redacted)');
  expect(refuse({ items: 'hunter2' })).toThrow('`items` is not valid, got a string of length 7 (redacted)');
  expect(refuse({ items: [{ card: 'hunter2', n: 'hunter2' }] })).toThrow('got "[redacted]"');
  expect(refuse({ items: [{ card: 'c'.repeat(99), n: 'x' }] })).toThrow('got "x"');
});

test.each([
  [1_000, false],
  [1_001, true],
  [200_000, true],
])('JSON of %d levels is too deep: %s', (levels, expected) => {
  const json = JSON.stringify('['.repeat(3_000)) + '['.repeat(levels);
  expect(isTooDeep(json)).toBe(expected);
});

test('a text is looked through in a time that grows with it', () => {
  const redaction = new Redaction(['*'], { input: { a: 'a'.repeat(100_000), b: `${'a'.repeat(50)}b` } });
  const time = (length: number) => {
    const startedAt = performance.now();
    redaction.text(`${'a'.repeat(40)} `.repeat(length / 41));
    return performance.now() - startedAt;
  };
  time(100_000);
  expect(time(400_000)).toBeLessThan(Math.max(50, 12 * time(100_000)));
});

test('a log line that is nested deep is withheld where it gets too deep', () => {
  const redaction = new Redaction(['a'], { input: { a: 'secret' } });
  expect(JSON.stringify(redaction.json(nest(5_000))).length).toBeLessThan(2_000);
});
