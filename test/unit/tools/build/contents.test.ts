import { expect, test } from 'vitest';
import { type Contents, describeContents, listFiles, sortPackages } from '../../../../src/tools/build/contents.ts';

test('files are listed by name, whatever their order, with their sum', () => {
  const file = (size: number) => new Uint8Array(size);
  const files = new Map([
    ['worker.js', file(5)],
    ['config/production.json', file(2)],
    ['a.js', file(1)],
  ]);
  const listed = {
    files: [
      { file: 'a.js', bytes: 1 },
      { file: 'config/production.json', bytes: 2 },
      { file: 'worker.js', bytes: 5 },
    ],
    bytes: 8,
  };
  expect(listFiles(files)).toEqual(listed);
  expect(listFiles(new Map([...files].reverse()))).toEqual(listed);
});

test('what is installed several times in one version is one package', () => {
  const isarray = { name: 'isarray', version: '1.0.0', bytes: 10 };
  expect(sortPackages([isarray, { ...isarray, version: '2.0.5' }, isarray])).toEqual([
    { ...isarray, bytes: 20 },
    { ...isarray, version: '2.0.5' },
  ]);
});

test('the list for people has the largest first, why a package is copied, and the system', () => {
  const contents: Contents = {
    islet: '0.1.0',
    queue: 'images',
    tasks: ['make-thumbnail'],
    start: 'node --flag worker.js',
    system: 'linux-x64',
    bytes: 1_234_567,
    packages: [
      { name: 'pino', version: '10.4.0', bytes: 25_700 },
      { name: 'sharp', version: '0.35.5', bytes: 451_400, copiedBecause: 'has native code' },
    ],
    files: [
      { file: 'guard-thread.js', bytes: 900 },
      { file: 'node_modules/sharp/index.js', bytes: 451_400 },
      { file: 'worker.js', bytes: 800_000 },
    ],
  };
  expect(describeContents(contents, 'out')).toBe(
    [
      'Built queue "images" in out: 1.2 MB, 3 files',
      '  worker.js        800.0 kB',
      '  guard-thread.js     900 B',
      'Packages in it:',
      '  sharp 0.35.5  451.4 kB  copied: has native code',
      '  pino 10.4.0    25.7 kB  bundled',
      'It runs on linux-x64 only: it has native code.',
    ].join('\n'),
  );
  const packages = Array.from({ length: 17 }, (_, at) => ({ name: `p${at}`, version: '1.0.0', bytes: 100 - at }));
  expect(describeContents({ ...contents, packages }, 'out')).toContain('  and 2 more  169 B  see contents.json\n');
});
