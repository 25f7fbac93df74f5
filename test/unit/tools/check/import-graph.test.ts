import { expect, test } from 'vitest';
import { createGraph, findBrought, findUnnamed, showChain } from '../../../../src/tools/check/import-graph.ts';
import { isNamed, type Owner } from '../../../../src/tools/check/package-of.ts';
import type { Edge } from '../../../../src/tools/check/watch-imports.ts';

/** Says what a file belongs to by its name: `app/x`, `islet/x`, or `<package>/x`. */
function ownerOf(file: string): Owner {
  const [name = ''] = file.split('/');
  return name === 'app' || name === 'islet' ? { kind: name } : { kind: 'package', name, folder: name };
}

const graph = (...edges: string[]) =>
  createGraph(
    edges.map((edge) => edge.split(' ') as unknown as Edge),
    ownerOf,
  );
const unnamed = (edges: string[], ...names: string[]) => findUnnamed(graph(...edges), ['app/task'], names);

test('a package that is not on the list is found by the shortest chain', () => {
  const edges = ['app/task app/a', 'app/a app/b', 'app/b lib/x', 'app/a lib/y', 'lib/y deep/z'];
  expect(unnamed(edges)).toEqual([{ name: 'lib', chain: ['app/task', 'app/a', 'lib/y'] }]);
});

test('what an allowed package brings is allowed, but not when the app imports it, too', () => {
  const edges = ['app/task lib/x', 'lib/x deep/x'];
  expect(unnamed(edges, 'lib')).toEqual([]);
  expect(unnamed([...edges, 'app/task app/a', 'app/a deep/x'], 'lib')).toMatchObject([{ name: 'deep' }]);
});

test("Islet's own packages, and what Islet imports, need not be named", () => {
  const edges = ['app/task islet/task', 'islet/task other/x', 'app/task awilix/x', 'awilix/x glob/x'];
  expect(unnamed(edges)).toEqual([]);
});

test('files that import one another have an end', () => {
  const circle = graph('app/task lib/x', 'lib/x deep/x', 'deep/x lib/x', 'deep/x bullmq/x', 'bullmq/x ms/x');
  const [found] = findUnnamed(circle, ['app/task'], []);
  expect(found && findBrought(circle, found)).toEqual(['deep']);
});

test('a chain names each package once', () => {
  const chain = ['app/task', 'app/a', 'lib/x', 'lib/y', 'deep/x'];
  expect(showChain(graph(), chain, (file) => `${file}.ts`)).toEqual(['app/task.ts', 'app/a.ts', 'lib', 'deep']);
});

test.each([
  ['sharp', 'sharp', true],
  ['sharp', 'sharp-cli', false],
  ['@aws-sdk/*', '@aws-sdk/client-s3', true],
  ['@aws-sdk/*', '@aws/x', false],
  ['lodash.*', 'lodash.merge', true],
  ['lodash.*', 'lodashx', false],
  ['*', '@scope/x', false],
])('"%s" for "%s": %s', (pattern, name, is) => {
  expect(isNamed([pattern], name)).toBe(is);
});
