import { Command } from 'ioredis';
import { expect, test } from 'vitest';
import { CommandTemplate, EncodedCommand } from '../../../src/broker/command-template.ts';

/** Encodes as ioredis itself does. */
const plain = (name: string, args: (string | number | Buffer)[]) =>
  Buffer.from(new Command(name, args as string[]).toWritable(null as never) as string | Buffer);

const packed = (token: string) => Buffer.concat([Buffer.from([0x83, 0xa5, 0xff]), Buffer.from(`${token}rest`)]);

test('encodes what ioredis would send, with other values in its holes', () => {
  const args = ['sha', 2, 'first', 'second', packed('token:1'), '', Buffer.from([0, 255])];
  const holes = [{ argument: 2 }, { argument: 4, text: 'token:1' }, { argument: 6 }];
  const template = new CommandTemplate('evalsha', args, holes);
  const values: [string, string, string | Buffer][] = [
    ['first', 'token:1', Buffer.from([0, 255])],
    ['größer 😀', 'token:2', ''],
    ['', 'tokenx9', Buffer.alloc(70_000, 0xfe)],
  ];
  for (const [first, token, last] of values) {
    const wanted = plain('evalsha', ['sha', 2, first, 'second', packed(token), '', last]);
    expect(template.encode([first, token, last]).equals(wanted)).toBe(true);
  }
});

test('refuses a text that is not in its argument', () => {
  expect(() => new CommandTemplate('get', ['key'], [{ argument: 0, text: 'token' }])).toThrow(
    'Argument 0 does not contain "token".',
  );
});

test('is sent as it is, however often', () => {
  const bytes = new CommandTemplate('get', ['key'], []).encode([]);
  const command = new EncodedCommand('get', bytes);
  expect([command.toWritable(), command.toWritable()]).toEqual([bytes, bytes]);
});
