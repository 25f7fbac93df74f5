import { describe, expect, test } from 'vitest';
import { findClash, type Instance, placePackages } from '../../../../src/tools/build/place-packages.ts';

const instance = (folder: string, ...loadedBy: (string | undefined)[]): Instance => ({
  name: /node_modules\/((?:@[^/]+\/)?[^/@]+)$/.exec(folder)?.[1] ?? '',
  folder,
  loadedBy: new Set(loadedBy),
});

const place = (...instances: Instance[]) => Object.fromEntries(placePackages(instances));

describe('a package', () => {
  test('goes on top, wherever it was installed', () => {
    const sharp = '/app/node_modules/.pnpm/sharp@1/node_modules/sharp';
    const colour = '/app/node_modules/.pnpm/colour@1/node_modules/@img/colour';
    expect(place(instance(sharp, undefined), instance(colour, sharp))).toEqual({
      [sharp]: ['node_modules/sharp'],
      [colour]: ['node_modules/@img/colour'],
    });
  });

  test('of which the bundle and others load different versions is on top in that of the bundle', () => {
    const [a, b, old, fresh] = ['/m/node_modules/a', '/m/node_modules/b', '/m/1/node_modules/c', '/m/2/node_modules/c'];
    expect(
      place(instance(a, undefined), instance(b, undefined), instance(old, a, b), instance(fresh, undefined)),
    ).toMatchObject({
      [fresh]: ['node_modules/c'],
      [old]: ['node_modules/a/node_modules/c', 'node_modules/b/node_modules/c'],
    });
  });

  test('of two versions is on top in the one that most load, with the other below its only user', () => {
    const [a, b, d] = ['/m/node_modules/a', '/m/node_modules/b', '/m/node_modules/d'];
    const [one, two] = ['/m/1/node_modules/c', '/m/2/node_modules/c'];
    const packages = [a, b, d].map((folder) => instance(folder, undefined));
    expect(place(...packages, instance(one, a), instance(two, b, d))).toMatchObject({
      [one]: ['node_modules/a/node_modules/c'],
      [two]: ['node_modules/c'],
    });
  });

  test('goes nowhere twice, when packages load one another', () => {
    const [a, b, other] = ['/m/node_modules/a', '/m/1/node_modules/b', '/m/2/node_modules/b'];
    expect(place(instance(a, undefined), instance(b, other, a), instance(other, b, undefined))).toMatchObject({
      [b]: ['node_modules/b/node_modules/b', 'node_modules/a/node_modules/b'],
      [other]: ['node_modules/b'],
    });
  });
});

test('a clash is what the bundle itself loads in two versions', () => {
  const [one, two] = ['/m/1/node_modules/c', '/m/2/node_modules/c'];
  expect(findClash([instance(one, undefined), instance(two, undefined)])).toBe('c');
  expect(findClash([instance(one, undefined), instance(two, one)])).toBeUndefined();
});
