import { expect, test } from 'vitest';
import { findSourceLine } from '../../../../src/tools/check/source-line.ts';

const root = '/home/ada/my workers (new)';
const file = `${root}/dist/tasks/send-mail/task.js`;
const inApp = `at connect (${root}/queues/mail/client.ts:12:9)`;
const inPackage = `at open (${root}/node_modules/smtp/index.js:3:5)`;
const inIslet = `at async importDefault (${root}/src/app/app-files.ts:42:41)`;

const failed = (message: string, ...frames: string[]) => ({
  message,
  stack: [`Error: ${message}`, ...frames].join('\n    '),
});

test.each([
  ['the first frame in the app', failed('refused', inPackage, inApp), { file: 'queues/mail/client.ts', line: 12 }],
  [
    'a frame with a URL',
    failed('refused', 'at file:///home/ada/my%20workers%20(new)/tasks/a/task.ts:4:7'),
    { file: 'tasks/a/task.ts', line: 4 },
  ],
  [
    'the file itself, where the rest is of packages and of Islet',
    failed('refused', inPackage, inIslet),
    { file: 'tasks/send-mail/task.js', line: undefined },
  ],
  [
    'the file itself, whatever place the message names',
    failed(`see ${root}/README.md:7`, inPackage),
    { file: 'tasks/send-mail/task.js', line: undefined },
  ],
  [
    'the importer of what is missing',
    failed(`Cannot find package 'smtp' imported from ${root}/dist/queues/mail/client.js`),
    { file: 'queues/mail/client.js', line: undefined },
  ],
  [
    'the file itself, when a package misses another',
    failed(`Cannot find package 'tls' imported from ${root}/node_modules/smtp/index.js`),
    { file: 'tasks/send-mail/task.js', line: undefined },
  ],
])('the place of a failed import is %s', (_, error, place) => {
  expect(findSourceLine(root, file, error)).toEqual(place);
});
