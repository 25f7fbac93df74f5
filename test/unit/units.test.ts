import { expect, test } from 'vitest';
import { readDuration, readSize, showDuration } from '../../src/units.ts';

test.each([
  ['500ms', 500],
  ['60s', 60_000],
  ['5m', 300_000],
  ['6h', 21_600_000],
  ['2d', 172_800_000],
  ['0s', 0],
])('reads the duration %s, which it also shows so that it is read again', (text, ms) => {
  expect([readDuration(text), readDuration(showDuration(ms))]).toEqual([ms, ms]);
});

test.each([
  ['300mb', 300],
  ['1gb', 1_024],
])('reads the size %s', (text, mb) => {
  expect(readSize(text)).toBe(mb);
});

test.each(['', '60', '60 s', '-5s', '1.5s', '1w', 's'])('takes "%s" for no duration', (text) => {
  expect(readDuration(text)).toBeNaN();
});

test.each(['', '300', '300 mb', '1.5gb', '1000000mb', '1tb'])('takes "%s" for no size', (text) => {
  expect(readSize(text)).toBeNaN();
});
