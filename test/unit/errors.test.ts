import { expect, test } from 'vitest';
import { hidePasswords } from '../../src/errors.ts';

test.each([
  ['redis://user:secret@host:1/0', 'redis://***@host:1/0'],
  ['redis://:se@c/r"et@host', 'redis://***@host'],
  ['redis://host:1?password=secret&db=2', 'redis://host:1?password=***&db=2'],
  ['redis:u:secret@h or redis//u:secret@h', 'redis:***@h or redis//***@h'],
  ['"redis://u:secret"', '"redis://u:***"'],
  ['redis://[::1]:6379/0 and redis://h:6379', 'redis://[::1]:6379/0 and redis://h:6379'],
  ['http://http://u:secret@h', 'http://http://***@h'],
  ['(https://a:secret@c/x,https://d@f/y@z)', '(https://***@c/x,https://***@f/y@z)'],
  ['at https://u:secret@x.test/a', 'at https://***@x.test/a'],
  ['file:///app/node_modules/@scope/x.js', 'file:///app/node_modules/@scope/x.js'],
  ['https://x.test/@name', 'https://x.test/@name'],
])('hides the credentials in %s', (text, shown) => {
  expect(hidePasswords(text)).toBe(shown);
});
