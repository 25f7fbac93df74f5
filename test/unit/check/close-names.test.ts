import { expect, test } from 'vitest';
import { findCloseNames } from '../../../src/check/close-names.ts';

const named = (...names: string[]) => names.map((name) => ({ name, owner: `task "${name}"`, file: `${name}.ts` }));

test.each([
  ['send-mail', 'sendmail'],
  ['send-mail', 'send-mails'],
  ['re-send', 'resends'],
])('"%s" and "%s" are taken for one another', (one, other) => {
  expect(findCloseNames(named(one, other))).toEqual([
    {
      file: `${other}.ts`,
      message:
        `The names "${other}" of task "${other}" and "${one}" of task "${one}" are easily taken for one another. ` +
        'Rename one.',
    },
  ]);
});

test.each([
  ['send-mail', 'send-male'],
  ['process', 'procession'],
  ['a', 'as-soon'],
])('"%s" and "%s" are not', (one, other) => {
  expect(findCloseNames(named(one, other))).toEqual([]);
});

test('a former name of the same task is no clash, one of another task is', () => {
  const task = { owner: 'task "send-mails"', file: 'a.ts' };
  const own = [
    { ...task, name: 'send-mails' },
    { ...task, name: 'sendmail' },
  ];
  expect(findCloseNames(own)).toEqual([]);
  expect(findCloseNames([...own, { name: 'send-mail', owner: 'task "send-mail"', file: 'b.ts' }])).toHaveLength(1);
});
