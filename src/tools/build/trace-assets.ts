import { lstatSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { join, parse, relative } from 'node:path';
import { nodeFileTrace } from '@vercel/nft';
import { transform } from 'esbuild';
import type { Bundle } from './bundle.ts';
import { looksBesideItself } from './judge-module.ts';
import { packageOf } from './packages.ts';

/** Reads a module as JavaScript, which is all that the tracer understands. */
async function readModule(file: string): Promise<string | null> {
  const text = await readFile(file, 'utf8').catch(() => null);
  if (text === null || !file.endsWith('.ts')) return text;
  return (await transform(text, { loader: 'ts', format: 'esm' })).code;
}

/** Finds files that the app's own modules read beside themselves, such as a text named from `import.meta.url`. */
export async function findAssets(
  { modules, loaded }: Pick<Bundle, 'modules' | 'loaded'>,
  root: string,
): Promise<string[]> {
  const asking = [...loaded];
  for (const file of modules) if (await looksBesideItself((await readModule(file)) ?? '')) asking.push(file);
  if (asking.length === 0) return [];
  const base = parse(root).root;
  const bundled = new Set(modules.filter((file) => !loaded.has(file)));
  const isOther = (file: string) => packageOf(file) !== undefined || relative(root, file).startsWith('..');
  const { fileList } = await nodeFileTrace(asking, {
    base,
    // Paths from the working directory are not followed: they could be those of any file.
    processCwd: join(base, '.islet-nowhere'),
    readFile: readModule,
    ignore: (name) => isOther(join(base, name)),
  });
  const found = [...fileList].map((name) => join(base, name));
  return found.filter((file) => !bundled.has(file) && !isOther(file) && lstatSync(file).isFile()).sort();
}
