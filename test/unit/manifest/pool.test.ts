import * as v from 'valibot';
import { describe, expect, test } from 'vitest';
import { poolDefaults } from '../../../src/manifest/defaults.ts';
import { defineTask, type TaskOptions } from '../../../src/manifest/define-task.ts';

const define = (pool: unknown) =>
  defineTask({ name: 'fit-curve', queue: 'science', payload: v.object({}), pool } as TaskOptions);
const problem = (said: string) => `Task "fit-curve"${said}`;

test('a task runs in its own thread unless it says otherwise', () => {
  expect(define(undefined).pool).toEqual({ kind: 'async' });
  expect(define('async').pool).toEqual({ kind: 'async' });
});

test.each(['thread', 'process'] as const)('"%s" is a pool with every default', (kind) => {
  expect(define(kind).pool).toEqual({ kind, size: undefined, ...poolDefaults });
});

test('an object sets what it names, and leaves the rest', () => {
  expect(define({ kind: 'thread', size: 3, idleTimeoutMs: 0, maxJobs: undefined }).pool).toEqual({
    ...poolDefaults,
    kind: 'thread',
    size: 3,
    idleTimeoutMs: 0,
  });
});

describe('a manifest refuses', () => {
  test.each([
    ['threads', ' does not parse: `pool`: expected "async", "thread", "process", or an object such as '],
    ['threads', 'got "threads". Did you mean "thread"?'],
    [2, 'got 2.'],
    [{}, ', pool does not parse: `kind` is missing.'],
    [{ kind: 'async', size: 2 }, ', pool does not parse: `kind`: expected one of "thread", "process", got "async".'],
    [{ kind: 'thread', size: 0 }, ', pool does not parse: `size`: expected an integer from 1 to 128, got 0.'],
    [{ kind: 'thread', size: 129 }, '`size`: expected an integer from 1 to 128, got 129.'],
    [{ kind: 'thread', maxMemoryMb: 63 }, '`maxMemoryMb`: expected an integer from 64 to 65536, got 63.'],
    [{ kind: 'thread', maxJobs: 0 }, '`maxJobs`: expected an integer from 1, got 0.'],
    [{ kind: 'thread', maxMemory: 64 }, 'it has no option `maxMemory`. Did you mean "maxMemoryMb"?'],
  ])('%j', (pool, said) => {
    expect(() => define(pool)).toThrow(expect.objectContaining({ code: 'E_MANIFEST_INVALID' }));
    expect(() => define(pool)).toThrow(said.startsWith(' ') || said.startsWith(',') ? problem(said) : said);
  });
});
