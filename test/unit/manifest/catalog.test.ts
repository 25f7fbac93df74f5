import * as v from 'valibot';
import { describe, expect, test } from 'vitest';
import { createCatalog, findCatalogProblems } from '../../../src/manifest/catalog.ts';
import { defineQueue } from '../../../src/manifest/define-queue.ts';
import { defineTask } from '../../../src/manifest/define-task.ts';

const payload = v.object({});
const found = (folder: string, value: unknown) => ({ folder, file: `tasks/${folder}/manifest.js`, value });
const queue = found('mail', defineQueue({ name: 'mail' }));
const task = (name: string, options: object = {}) =>
  found(name, defineTask({ name, queue: 'mail', payload, ...options }));
const create = (...tasks: ReturnType<typeof found>[]) => createCatalog({ tasks, queues: [queue] });

describe('createCatalog', () => {
  test('finds tasks by queue', () => {
    expect(
      create(task('a'), task('b'))
        .tasksOf('mail')
        .map(({ name }) => name),
    ).toEqual(['a', 'b']);
  });

  test.each([
    [
      'two of one name',
      [task('a'), { ...task('a'), file: 'elsewhere' }],
      'There are two tasks "a"; one of them is elsewhere.',
    ],
    [
      'a queue that is not there',
      [task('a', { queue: 'mial' })],
      'names a queue "mial" that does not exist. Did you mean "mail"?',
    ],
    [
      'a folder of another name',
      [{ ...task('a'), folder: 'b' }],
      'names its task "a", but its folder is "b". Make them equal.',
    ],
    ['an export that is no manifest', [found('a', {})], 'must export by default what defineTask() returns'],
    ['a queue as a task', [found('mail', queue.value)], 'must export by default what defineTask() returns'],
    [
      'a former name that is taken',
      [task('a'), task('b', { formerNames: ['a'] })],
      'the former name "a", which is claimed by task "a" of queue "mail"',
    ],
    [
      'a former name of two tasks of a queue',
      [task('a', { formerNames: ['__default__'] }), task('b', { formerNames: ['__default__'] })],
      'the former name "__default__", which is claimed by task "a" of queue "mail"',
    ],
    [
      'a mix of priorities',
      [task('a', { priority: 5 }), task('b')],
      'Queue "mail" mixes tasks with and without a priority ("a", "b")',
    ],
  ])('refuses %s', (_, tasks, message) => {
    expect(() => create(...tasks)).toThrow(expect.objectContaining({ code: 'E_CATALOG_INVALID' }));
    expect(() => create(...tasks)).toThrow(message);
  });

  const mapped = (name: string, bullmq: object) => found(name, defineQueue({ name, bullmq }));
  const mail = mapped('mail', { name: 'Mail' });
  const createWith = (task: ReturnType<typeof found>, ...queues: ReturnType<typeof found>[]) =>
    createCatalog({ tasks: [task], queues });

  test('takes a task that has the manifest of a mapped queue', () => {
    expect(createWith(task('a', { queue: mail.value }), mail).task('a').bullmq).toEqual({
      name: 'Mail',
      prefix: 'bull',
    });
  });

  test.each([
    [
      'the name of a mapped queue',
      task('a'),
      [mail],
      'sends its jobs to Islet\'s own queue "mail", but its queue "mail" is "bull:Mail" in BullMQ.',
    ],
    ['another mapping', task('a', { queue: mapped('mail', {}).value }), [mail], 'sends its jobs to "bull:mail", but'],
    [
      'a mapping that the queue does not have',
      task('a', { queue: mail.value }),
      [queue],
      'but queue "mail" is Islet\'s own.',
    ],
    [
      'two queues in one place',
      task('a', { queue: mail.value }),
      [mail, mapped('post', { name: 'Mail' })],
      'Queues "mail" and "post" are both the queue "bull:Mail" of BullMQ.',
    ],
  ])('refuses %s', (_, given, queues, message) => {
    expect(() => createWith(given, ...queues)).toThrow(expect.objectContaining({ code: 'E_CATALOG_INVALID' }));
    expect(() => createWith(given, ...queues)).toThrow(message);
  });

  test('takes a former name that tasks of other queues have, too', () => {
    const other = found('other', defineQueue({ name: 'other' }));
    const tasks = [
      task('a', { formerNames: ['__default__'] }),
      task('b', { queue: 'other', formerNames: ['__default__', 'a'] }),
    ];
    expect(createCatalog({ tasks, queues: [queue, other] }).tasks.size).toBe(2);
  });

  test.each(['../a', '__proto__', 'constructor', 'toString', 'aa'])('knows no task "%s"', (name) => {
    expect(() => create(task('a')).task(name)).toThrow(`There is no task "${name}" in this app.`);
  });

  test('suggests a close name', () => {
    expect(() => create(task('send-email')).task('send-emial')).toThrow('Did you mean "send-email"?');
  });
});

describe('findCatalogProblems', () => {
  const faulty = [
    task('a', { queue: 'mial' }),
    { ...task('b'), folder: 'c' },
    task('d', { priority: 1 }),
    task('e', { formerNames: ['d'] }),
  ];

  test('lists what is wrong with all manifests, with file and option', () => {
    const problems = findCatalogProblems({ tasks: faulty, queues: [queue] });
    expect(problems.map(({ file, option }) => [file, option])).toEqual([
      ['tasks/b/manifest.js', 'name'],
      ['tasks/a/manifest.js', 'queue'],
      ['tasks/e/manifest.js', 'formerNames'],
      ['tasks/e/manifest.js', 'name'],
    ]);
  });

  test('takes a known queue for there, although its manifest is not', () => {
    const [lost] = faulty;
    expect(lost && findCatalogProblems({ tasks: [lost], queues: [queue] }, ['mial'])).toEqual([]);
  });

  test('has nothing to say of manifests that fit together', () => {
    expect(findCatalogProblems({ tasks: [task('a'), task('b')], queues: [queue] })).toEqual([]);
  });
});
