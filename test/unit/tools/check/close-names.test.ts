import { expect, test } from 'vitest';
import { findCloseNames } from '../../../../src/tools/check/close-names.ts';

const named = (...names: string[]) =>
  names.map((name) => ({ name, owner: `task "${name}"`, file: `${name}.ts`, option: 'name' }));

test.each([
  ['send-mail', 'sendmail'],
  ['send-mail', 'send-mails'],
  ['re-send', 'resends'],
])('"%s" and "%s" are taken for one another', (one, other) => {
  expect(findCloseNames(named(one, other))).toEqual([
    {
      file: `${other}.ts`,
      option: 'name',
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
  const task = { owner: 'task "send-mails"', file: 'a.ts', option: 'name' };
  const own = [
    { ...task, name: 'send-mails' },
    { ...task, name: 'sendmail', option: 'formerNames' },
  ];
  expect(findCloseNames(own)).toEqual([]);
  const other = { name: 'send-mail', owner: 'task "send-mail"', file: 'b.ts', option: 'name' };
  expect(findCloseNames([...own, other])).toHaveLength(1);
  expect(findCloseNames([other, ...own])).toMatchObject([{ option: 'name' }, { option: 'formerNames' }]);
});

test('a former name is compared with the names of its own queue, and with no former name', () => {
  const former = { name: 'Sendmail', owner: 'task "a"', file: 'a.ts', option: 'formerNames', queue: 'mail' };
  const task = { name: 'Send-mail', owner: 'task "b"', file: 'b.ts', option: 'name', queue: 'mail' };
  expect(findCloseNames([former, task])).toHaveLength(1);
  expect(findCloseNames([former, { ...task, queue: 'other' }])).toEqual([]);
  expect(findCloseNames([former, { ...task, option: 'formerNames' }])).toEqual([]);
  // It stands between two names that are close.
  expect(
    findCloseNames([task, { ...former, queue: 'other' }, { ...task, name: 'Send-mails', owner: 'c' }]),
  ).toHaveLength(1);
});

test('two of the very same name are not close: the catalog refuses them', () => {
  const [one] = named('send-mail');
  expect(one && findCloseNames([one, { ...one, owner: 'task "other"', option: 'formerNames' }])).toEqual([]);
});
