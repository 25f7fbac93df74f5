import { readFileSync } from 'node:fs';
import { resolve } from 'node:path';

/** Reads the version of an installed package, or of Islet itself. */
export function packageVersion(name: string, folder = '.'): string {
  const file = name === 'islet' ? 'package.json' : `${folder}/node_modules/${name}/package.json`;
  return JSON.parse(readFileSync(resolve(file), 'utf8')).version;
}
