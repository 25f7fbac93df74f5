import { cp, mkdir, mkdtemp, readdir, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { repository } from './islet-process.ts';

/** An app in a folder of its own, with the packages of this repository as if they were installed there. */
export interface TempApp {
  readonly root: string;
  write(file: string, text: string): Promise<void>;
  /** Removes the app. */
  close(): Promise<void>;
}

async function linkPackages(root: string): Promise<void> {
  const packages = join(root, 'node_modules');
  await mkdir(join(packages, '.bin'), { recursive: true });
  const names = (await readdir(join(repository, 'node_modules'))).filter((name) => !name.startsWith('.'));
  const programs = await readdir(join(repository, 'node_modules/.bin'));
  await Promise.all([
    ...names.map((name) => symlink(join(repository, 'node_modules', name), join(packages, name))),
    ...programs.map((name) => symlink(join(repository, 'node_modules/.bin', name), join(packages, '.bin', name))),
    symlink(repository, join(packages, 'islet')),
    symlink(join(repository, 'bin/islet.js'), join(packages, '.bin/islet')),
  ]);
}

/** Makes an app of the files that `fill` puts into its folder. */
export async function openTempApp(fill: (root: string) => Promise<void>): Promise<TempApp> {
  const folder = await mkdtemp(join(tmpdir(), 'islet-app-'));
  const root = join(folder, 'my-workers');
  await fill(root);
  await linkPackages(root);
  return {
    root,
    async write(file, text) {
      await mkdir(dirname(join(root, file)), { recursive: true });
      await writeFile(join(root, file), text);
    },
    close: () => rm(folder, { recursive: true, force: true }),
  };
}

/** Fills an app with the sources of a fixture. */
export const copyFixture = (name: string) => async (root: string) => {
  await cp(join(repository, 'test/fixtures', name), root, { recursive: true });
  await cp(join(repository, 'tsconfig.json'), join(root, 'tsconfig.json'));
  await writeFile(join(root, 'package.json'), '{ "type": "module" }');
};
