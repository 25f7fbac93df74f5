import { relative, resolve } from 'node:path';
import { shorten } from './judge-module.ts';
import { packageOf } from './packages.ts';

interface SourcePlaces {
  /** The app's folder. */
  root: string;
  /** The folder that the map's sources are named from. */
  outdir: string;
  /** The folder of Islet's own modules. */
  islet: string;
}

function nameSource(source: string, { root, outdir, islet }: SourcePlaces): string {
  if (/^islet-\w+:/.test(source)) return source.replace(':', '/');
  const file = resolve(outdir, source);
  if (packageOf(file)) return `node_modules/${shorten(file)}`;
  const own = relative(root, file).replaceAll('\\', '/');
  if (!own.startsWith('..')) return own;
  const framework = relative(resolve(islet, '..', '..'), file).replaceAll('\\', '/');
  // A map must not tell where it was made.
  return framework.startsWith('..') ? `outside/${own.replace(/^(\.\.\/)+/, '')}` : `node_modules/islet/${framework}`;
}

/** Names the sources of a source map from the app's folder, wherever the bundle will stand. */
export function nameSources(map: Uint8Array, places: SourcePlaces): Uint8Array {
  const content = JSON.parse(Buffer.from(map).toString('utf8')) as { sources: string[] };
  content.sources = content.sources.map((source) => nameSource(source, places));
  return Buffer.from(JSON.stringify(content));
}
