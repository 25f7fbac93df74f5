import { lstatSync, readdirSync, readFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import type { Case } from '../case.ts';
import { buildWorker } from '../contenders/islet.ts';

const queue = 'api-scraper';
/** The packages that the example app's four queues import, besides those that Islet itself depends on. */
const appPackages = ['exceljs', 'htmlparser2', 'mathjs', 'pdfkit', 'sharp', 'valibot', 'convict'];

/** Shows what a deploy carries. */
export const size: Case = {
  name: 'size',
  title: 'What is deployed',
  base: 'node-modules',
  metrics: {
    megabytes: { label: 'size', unit: 'MB', better: 'less' },
    files: { label: 'files', unit: '', better: 'less' },
  },
  about: () => `the folder of "islet build --queue ${queue}", source maps included, against node_modules`,
  entries() {
    const entry = (key: string, name: string, folders: () => string[] | Promise<string[]>) => ({
      key,
      name,
      run: async () => measure(await folders()),
    });
    return [
      entry('built', `built ${queue}`, async () => [await buildWorker(queue, process.cwd())]),
      entry('runtime-modules', 'node_modules, what runs of it', runtimeFolders),
      entry('node-modules', 'node_modules', () => [resolve('node_modules')]),
    ];
  },
};

function measure(folders: readonly string[]) {
  const sizes = folders.flatMap((folder) =>
    readdirSync(folder, { recursive: true, encoding: 'utf8' })
      .map((file) => lstatSync(join(folder, file)))
      .filter((file) => file.isFile())
      .map((file) => file.size),
  );
  return { megabytes: sizes.reduce((sum, bytes) => sum + bytes, 0) / 1_000_000, files: sizes.length };
}

interface Locked {
  dependencies?: Record<string, string>;
  optionalDependencies?: Record<string, string>;
}

/** Lists the folders of the packages that the app's code needs, directly or not. A nested one is within its owner's. */
function runtimeFolders(): string[] {
  const lock = JSON.parse(readFileSync(resolve('node_modules/.package-lock.json'), 'utf8'));
  const packages: Record<string, Locked> = lock.packages;
  const own = Object.keys(JSON.parse(readFileSync('package.json', 'utf8')).dependencies);
  const found = new Set<string>();
  const todo = [...own, ...appPackages].map((name) => `node_modules/${name}`);
  for (let place = todo.pop(); place !== undefined; place = todo.pop()) {
    const entry = packages[place];
    if (entry === undefined || found.has(place)) continue;
    found.add(place);
    const from = place;
    const needs = Object.keys({ ...entry.dependencies, ...entry.optionalDependencies });
    todo.push(...needs.map((name) => placeOf(name, from, packages)));
  }
  const isNested = (place: string) => [...found].some((other) => place.startsWith(`${other}/`));
  return [...found].filter((place) => !isNested(place)).map((place) => resolve(place));
}

/** Finds a package as Node does from another one's place: nested in it, or above. */
function placeOf(name: string, from: string, packages: Record<string, Locked>): string {
  for (let folder = from; ; folder = folder.slice(0, folder.lastIndexOf('/node_modules/'))) {
    const place = `${folder}/node_modules/${name}`;
    if (place in packages) return place;
    if (!folder.includes('/node_modules/')) return `node_modules/${name}`;
  }
}
