/**
 * Keeps beside the compiled code what it was compiled from, by content. Times tell nothing: a checkout, a restored cache or
 * an archive sets those of all files.
 */
import { createHash } from 'node:crypto';
import { copyFileSync, existsSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join, relative, resolve, sep } from 'node:path';
import { isSource, readProject } from './compiler-input.js';

const RECORD = 'compiled-from.json';
/** What a package.json says of how its modules are found and read; the rest concerns no compiler. */
const PACKAGE_FIELDS = ['type', 'imports', 'exports', 'main', 'types', 'typings'];

/** Returns the record of what dist/ was compiled from; undefined where something else than this program compiled it. */
export function readRecord(root) {
  try {
    const record = JSON.parse(readFileSync(join(root, 'dist', RECORD), 'utf8'));
    return record.version === 1 ? record : undefined;
  } catch {
    return undefined;
  }
}

/**
 * Takes the record of another compilation for dist/, if that holds the same code. A dist/ that somebody else has compiled
 * is known by content from then on.
 */
export function adoptRecord(root, folder) {
  const { outputs } = JSON.parse(readFileSync(join(folder, RECORD), 'utf8'));
  const isSame = Object.entries(outputs).every(([name, content]) => contentOf(join(root, 'dist', name)) === content);
  if (isSame) copyFileSync(join(folder, RECORD), join(root, 'dist', RECORD));
  return isSame;
}

/** Forgets what dist/ was compiled from. */
export function removeRecord(root) {
  rmSync(join(root, 'dist', RECORD), { force: true });
}

/**
 * Reads the content of all that the compiler is known to read. This is done before it runs: a file that is saved while it
 * runs must not count as compiled.
 */
export function takeSnapshot(root) {
  const { configs, sources } = readProject(root);
  const known = Object.keys(readRecord(root)?.inputs ?? {}).map((name) => resolve(root, name));
  return new Map([...new Set([...configs, ...sources, ...known])].map((file) => [file, contentOf(file)]));
}

/**
 * Writes the record of a compilation into the folder of its output. `listed` are the files that the compiler said it has
 * read, and `snapshot` is what was taken before.
 */
export function writeRecord(root, { folder, listed, snapshot }) {
  const { configs, sources } = readProject(root);
  const isCompiled = (source) => existsSync(outputOf(root, source, folder));
  const read = new Set([...listed.filter((file) => isOwn(root, file)), ...sources.filter(isCompiled)]);
  const inputs = new Set([...configs, ...read, ...packagesOf(root, read)]);
  const outputs = [...read].map((file) => outputOf(root, file, folder)).filter(existsSync);
  const named = (files, content) => Object.fromEntries(files.map(([file, name]) => [name, content(file)]));
  const record = {
    version: 1,
    inputs: named(pairs(root, [...inputs]), (file) => snapshot.get(file) ?? contentOf(file)),
    outputs: named(pairs(folder, outputs), contentOf),
    // The project may say in a way that is not understood here that these are none of its sources.
    others: pairs(
      root,
      sources.filter((source) => !read.has(source)),
    ).map(([, name]) => name),
  };
  writeFileSync(join(folder, RECORD), `${JSON.stringify(record, null, 1)}\n`);
}

/** Tells whether any source of what was compiled is there. What is deployed without its sources cannot be stale. */
export function hasSources(root, { inputs }) {
  return Object.keys(inputs).some((name) => isSource(name) && existsSync(resolve(root, name)));
}

/** Lists how the present files differ from those that dist/ was compiled from. */
export function findDifferences(root, { inputs, outputs, others }) {
  const names = Object.keys(inputs);
  const changed = names.flatMap((name) => {
    const content = contentOf(resolve(root, name));
    if (content === undefined) return isElsewhere(root, name) ? [] : [`${name} was removed`];
    return content === inputs[name] ? [] : [`${name} has changed`];
  });
  const known = new Set([...names, ...others]);
  const added = pairs(root, readProject(root).sources).filter(([, name]) => !known.has(name));
  const lost = Object.keys(outputs).filter((name) => !existsSync(join(root, 'dist', name)));
  return [
    ...changed,
    ...added.map(([, name]) => `${name} is not compiled`),
    ...lost.map((name) => `dist/${name} was removed`),
  ];
}

/** Tells whether something else has compiled into dist/ since then, so that the record says nothing of what is there. */
export function isOverwritten(root, { outputs }) {
  return Object.entries(outputs).some(([name, content]) => {
    const present = contentOf(join(root, 'dist', name));
    return present !== undefined && present !== content;
  });
}

/** Returns the file that the compiler makes of a source. */
export function outputOf(root, source, folder = join(root, 'dist')) {
  return join(folder, relative(root, source).replace(/\.([cm]?)tsx?$/, '.$1js'));
}

/** Tells whether a file is the app's or a linked package's. An installed package changes only when it is installed. */
function isOwn(root, file) {
  return !file.includes(`${sep}node_modules${sep}`) && !relative(root, file).startsWith(`dist${sep}`);
}

/** Tells whether a file was in a folder outside of the app that is not on this machine at all. */
function isElsewhere(root, name) {
  return name.startsWith('../') && !existsSync(dirname(resolve(root, name)));
}

/** Lists the package.json of the app, and of each package from which the compiler has read. */
function packagesOf(root, files) {
  const folders = new Set([root, ...[...files].map((file) => dirname(file))]);
  return new Set([...folders].flatMap((folder) => findPackage(folder) ?? []));
}

function findPackage(folder) {
  for (let at = folder; ; at = dirname(at)) {
    if (existsSync(join(at, 'package.json'))) return join(at, 'package.json');
    if (dirname(at) === at) return undefined;
  }
}

function pairs(root, files) {
  return files
    .map((file) => [file, relative(root, file).replaceAll('\\', '/')])
    .sort(([, a], [, b]) => (a < b ? -1 : 1));
}

function contentOf(file) {
  try {
    const bytes = readFileSync(file);
    return createHash('sha256')
      .update(/[\\/]package\.json$/.test(file) ? pickFields(bytes) : bytes)
      .digest('base64url');
  } catch {
    return undefined;
  }
}

function pickFields(text) {
  const fields = JSON.parse(text);
  return JSON.stringify(PACKAGE_FIELDS.map((name) => fields[name] ?? null));
}
