import { expect, test } from 'vitest';
import { Child, describeEnd } from '../../../../lab/kit/child.ts';

const shell = (line: string, more = {}) => new Child({ program: '/bin/sh', args: ['-c', line], ...more });

test('tells when the output has a text, also when that came before the question', async () => {
  const child = shell('printf "almost rea"; echo dy; read forever', { stdio: ['pipe', 'pipe', 'pipe'] });
  expect(await child.says(/\bready\b/)).toBe(true);
  expect(await child.says('almost ready')).toBe(true);
  await child.stop(5_000);
  expect(child.hasEnded).toBe(true);
});

test('tells that the process ended before it said anything of the kind', async () => {
  const child = shell('echo no; exit 3');
  expect(await child.says('ready')).toBe(false);
  expect(await child.closed).toEqual({ code: 3, signal: null });
  expect(child.output).toBe('no\n');
});

test('kills a process that does not end when it is asked to', async () => {
  const child = shell(`trap '' TERM; echo on; while true; do sleep 0.05; done`);
  await child.says('on');
  await child.stop(100);
  expect(describeEnd(await child.exited)).toBe('SIGKILL');
});

test('keeps the end of a long output', async () => {
  const child = shell('echo 123456789', { keptOutput: 4 });
  await child.closed;
  expect(child.output).toBe('789\n');
});

test('throws when the program cannot be started', () => {
  expect(() => new Child({ program: '/no/such/program', args: [] })).toThrow('/no/such/program cannot be started.');
});
