import { resolve } from 'node:path';
import { Worker } from 'node:worker_threads';
import { expect, test } from 'vitest';
import { SharedLines } from '../../src/shared-lines.ts';

/** Creates a reader that takes all bytes it is offered. */
function collect() {
  let text = '';
  const take = (bytes: Uint8Array) => {
    text += Buffer.from(bytes).toString();
    return bytes.length;
  };
  return { take, text: () => text };
}

test('gives lines in their order, each once, whatever their characters', () => {
  const lines = new SharedLines();
  const { take, text } = collect();
  expect(lines.isEmpty).toBe(true);
  expect([lines.add('first\n'), lines.add('zweite, größer 😀\n')]).toEqual([true, true]);
  expect(lines.isEmpty).toBe(false);
  lines.flush(take);
  lines.flush(take);
  expect([text(), lines.isEmpty]).toEqual(['first\nzweite, größer 😀\n', true]);
});

test('keeps what was not taken, and gives it up when it is emptied', () => {
  const lines = new SharedLines();
  lines.add('0123456789\n');
  // This pipe has room for four bytes, and is full then.
  const room = [4, 0];
  lines.flush(() => room.shift() ?? 0);
  expect(lines.isEmpty).toBe(false);
  const { take, text } = collect();
  lines.flush(take);
  expect(text()).toBe('456789\n');
  lines.add('more\n');
  expect(lines.empty().toString()).toBe('more\n');
  expect([lines.isEmpty, lines.empty().length]).toEqual([true, 0]);
});

test('refuses a line for which it has no room, until it is emptied', () => {
  const lines = new SharedLines();
  const line = `${'x'.repeat(10_000)}\n`;
  let added = 0;
  while (lines.add(line)) added += 1;
  expect(added).toBeGreaterThan(3);
  expect(lines.empty()).toHaveLength(added * line.length);
  expect(lines.add(line)).toBe(true);
});

test('loses and doubles nothing when another thread writes lines while they are added', async () => {
  const lines = new SharedLines();
  const code = `
    const { workerData, parentPort } = require('node:worker_threads');
    import('${resolve('dist/src/shared-lines.js')}').then(({ SharedLines }) => {
      const lines = new SharedLines(workerData);
      let text = '';
      const take = (bytes) => {
        text += Buffer.from(bytes).toString();
        return bytes.length;
      };
      parentPort.on('message', () => parentPort.postMessage(text));
      const go = () => {
        for (let n = 0; n < 50; n += 1) lines.flush(take);
        setImmediate(go);
      };
      go();
      parentPort.postMessage('ready');
    });`;
  const thread = new Worker(code, { eval: true, workerData: lines.memory });
  const next = () => new Promise<string>((done) => thread.once('message', done));
  await next();
  const own = collect();
  const sent = 20_000;
  for (let n = 0; n < sent; n += 1) {
    while (!lines.add(`${n}\n`)) own.take(lines.empty());
    if (n % 100 === 0) lines.flush(own.take);
  }
  lines.flush(own.take);
  const reply = next();
  thread.postMessage('tell');
  const numbers = `${own.text()}${await reply}`.trimEnd().split('\n').map(Number);
  await thread.terminate();
  expect(numbers.sort((a, b) => a - b)).toEqual(Array.from({ length: sent }, (_, n) => n));
});
