import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { resolve } from 'node:path';
import { pathToFileURL } from 'node:url';
import { afterEach, describe, expect, test, vi } from 'vitest';
import { within } from '../support/islet-process.ts';

const module = pathToFileURL(resolve('dist/src/log.js')).href;

let child: ReturnType<typeof start>;

afterEach(() => void child.kill('SIGKILL'));

/** Starts a process that logs `lines` lines when it is told to, and then ends at once, or does what `then` says. */
function start(lines: number, then = 'process.exit(3)') {
  const code = `
    import { createLog, LogOutput } from '${module}';
    const log = createLog('info', new LogOutput());
    process.stdin.once('data', () => {
      for (let line = 1; line <= ${lines}; line += 1) log.info({ line, filler: 'x'.repeat(1_000) }, 'A line');
      process.on('exit', () => log.info({}, 'The last line'));
      ${then};
    });
    process.stderr.write('ready');`;
  const args = ['--input-type=module', '--eval', code];
  return spawn(process.execPath, args, { stdio: ['pipe', 'pipe', 'pipe'] });
}

test('ends with its process, when nobody reads it any more', async () => {
  child = start(10);
  await once(child.stderr, 'data');
  child.stdout.destroy();
  await once(child.stdout, 'close');
  child.stdin.write('end');
  expect(await within(once(child, 'exit'), 5_000, 'the exit')).toEqual([3, null]);
});

test('ends with its process, when somebody has stopped to read', async () => {
  child = start(2_000);
  await once(child.stderr, 'data');
  child.stdout.pause();
  child.stdin.write('end');
  expect(await within(once(child, 'exit'), 5_000, 'the exit')).toEqual([3, null]);
});

test('lets its process go on while somebody has stopped to read, and then has each line', async () => {
  child = start(2_000, "setTimeout(() => process.stderr.write('goes on'), 50)");
  let text = '';
  child.stdout.setEncoding('utf8').on('data', (data) => {
    text += data;
  });
  await once(child.stderr, 'data');
  child.stdout.pause();
  child.stdin.write('end');
  const [said] = await within(once(child.stderr, 'data'), 5_000, 'a sign of life');
  expect(String(said)).toBe('goes on');
  child.stdout.resume();
  await vi.waitFor(() => expect(text.split('\n')).toHaveLength(2_001), { timeout: 5_000 });
});

test('drops what is more than 4 MB while nobody reads, says how many lines, and goes on', async () => {
  child = start(10_000, "process.stderr.write('logged'); process.stdin.once('data', () => log.info({}, 'Read again'))");
  let text = '';
  child.stdout.setEncoding('utf8').on('data', (data) => {
    text += data;
  });
  await once(child.stderr, 'data');
  child.stdout.pause();
  child.stdin.write('begin');
  await once(child.stderr, 'data');
  child.stdout.resume();
  const read = () => text.split('\n').flatMap((line) => (line.endsWith('}') ? [JSON.parse(line)] : []));
  const note = { level: 40, msg: 'Log lines were dropped, because nothing had read them for too long' };
  await vi.waitFor(() => expect(read().at(-1)).toMatchObject(note), { timeout: 5_000 });
  const [kept, last] = [read().length - 1, read().at(-1)];
  expect(kept).toBeGreaterThan(3_500);
  expect(kept + last.lines).toBe(10_000);
  child.stdin.write('more');
  await vi.waitFor(() => expect(read().at(-1)).toMatchObject({ msg: 'Read again' }), { timeout: 5_000 });
});

test('has each line, whole and once, also of a process that ends at once', async () => {
  child = start(2_000);
  let text = '';
  child.stdout.setEncoding('utf8').on('data', (data) => {
    text += data;
  });
  await once(child.stderr, 'data');
  child.stdin.write('end');
  await once(child, 'close');
  const lines = text.trimEnd().split('\n');
  const numbers = lines.map((line) => (JSON.parse(line) as { line?: number }).line ?? 2_001);
  expect(numbers.sort((a, b) => a - b)).toEqual(Array.from({ length: 2_001 }, (_, at) => at + 1));
});

describe('lines that wait for the end of a turn of the event loop', () => {
  /** Logs three lines in one turn, beside a guard, and then does what `then` says in the same turn. */
  function startGuarded(then: string) {
    const folder = pathToFileURL(resolve('dist/src')).href;
    const code = `
      import { Guard } from '${folder}/guard/guard.js';
      import { createLog, LogOutput } from '${folder}/log.js';
      import { SharedLines } from '${folder}/shared-lines.js';
      const shared = new SharedLines();
      const log = createLog('info', new LogOutput(shared));
      const options = { redis: 'redis://127.0.0.1:1', maxBlockMs: 1_500, stopSignals: [], stopWithinMs: 1_000, describeCurrentJob() {} };
      const guard = new Guard(new URL('${folder}/cli/guard-thread.js'));
      await guard.watch({ ...options, logs: true, lines: shared.memory });
      setTimeout(() => {
        for (const line of [1, 2, 3]) log.info({ line }, 'A line');
        ${then};
      }, 0);`;
    child = spawn(process.execPath, ['--input-type=module', '--eval', code], { stdio: ['pipe', 'pipe', 'pipe'] });
    let text = '';
    child.stdout.setEncoding('utf8').on('data', (data) => {
      text += data;
    });
    const exited = within(once(child, 'exit'), 8_000, 'the exit');
    const lines = () => text.split('\n').flatMap((line) => (line.endsWith('}') ? [JSON.parse(line)] : []));
    return { exited, lines, numbers: () => lines().flatMap(({ line }) => line ?? []) };
  }

  test('are written while the event loop is blocked, and are there when the guard ends the process', async () => {
    const { exited, lines, numbers } = startGuarded('while (true)');
    await vi.waitFor(() => expect(numbers()).toEqual([1, 2, 3]), { timeout: 2_000, interval: 20 });
    expect(child.exitCode ?? child.signalCode).toBeNull();
    expect(await exited).toEqual([null, 'SIGKILL']);
    expect(numbers()).toEqual([1, 2, 3]);
    expect(lines().at(-1)).toMatchObject({ level: 60, code: 'E_LOOP_BLOCKED' });
  });

  test.each([
    ['exits', 'process.exit(3)', 3],
    ['throws', "throw new Error('no')", 1],
  ])('are written when the process %s', async (_how, then, code) => {
    const { exited, numbers } = startGuarded(then);
    expect(await exited).toEqual([code, null]);
    await vi.waitFor(() => expect(numbers()).toEqual([1, 2, 3]));
  });
});
