import { expect, test } from 'vitest';
import { createCommandCounter } from '../../../../lab/bench/redis-proxy.ts';

const command = (...parts: string[]) =>
  `*${parts.length}\r\n${parts.map((part) => `$${Buffer.byteLength(part)}\r\n${part}\r\n`).join('')}`;
const wire = Buffer.from(command('PING') + command('SET', 'key', 'a\r\n*3\r\nline') + command('EVALSHA', 'ü', ''));

test('counts commands, whatever their strings hold', () => {
  expect(createCommandCounter()(wire)).toBe(3);
});

test('counts the same, wherever the network cuts', () => {
  for (let size = 1; size < wire.length; size++) {
    const count = createCommandCounter();
    let commands = 0;
    for (let at = 0; at < wire.length; at += size) commands += count(wire.subarray(at, at + size));
    expect(commands, `cut each ${size} bytes`).toBe(3);
  }
});
