import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, isAbsolute, join, resolve } from 'node:path';

/** What the compiler compiles, besides declarations. */
const SOURCE = /(?<!\.d)\.[cm]?tsx?$/;
/** Folders that hold no sources, wherever they are. The compiler's own patterns pass over hidden ones as well. */
const PASSED_OVER = /^(node_modules|\..*)$/;
const NOT_EXTENDED = /^(\.{1,2}[\\/]|[\\/]|[A-Za-z]:)/;

/** Returns the file that tells the compiler of an app what to compile; undefined when there is none. */
export function findProject(root) {
  return ['tsconfig.build.json', 'tsconfig.json'].map((name) => join(root, name)).find(existsSync);
}

export function isSource(file) {
  return SOURCE.test(file);
}

/** Reads what an app's project says: the files that it stands in, with all that they extend, and which sources it takes. */
export function readProject(root) {
  const chain = readChain(findProject(root));
  const nearest = (key) => chain.find(({ settings }) => settings[key] !== undefined);
  const [files, include, exclude] = ['files', 'include', 'exclude'].map((key) => {
    const found = nearest(key);
    return found && [found.settings[key]].flat().map((path) => resolve(dirname(found.file), fill(path, root)));
  });
  return {
    configs: chain.map(({ file }) => file),
    paths: readPaths(chain),
    /** Reading all folders takes a moment. */
    get sources() {
      return findSources(root, { files, include, exclude });
    },
  };
}

function findSources(root, { files, include, exclude }) {
  const included = include ?? (files ? [] : [join(root, '**/*')]);
  const built = ['dist', 'dist.new', 'dist.old'].map((name) => join(root, name));
  const excluded = [...built, ...(exclude ?? [])].map((path) => toPattern(path, true));
  const isExcluded = (path) => excluded.some((pattern) => pattern.test(toSlashes(path)));
  const patterns = included.map((path) => toPattern(path, !/[*?][^\\/]*$/.test(path)));
  const found = included
    .flatMap((path) => filesIn(path.replace(/[\\/][^\\/]*[*?].*$/, ''), isExcluded))
    .filter((file) => isSource(file) && patterns.some((pattern) => pattern.test(toSlashes(file))));
  return [...new Set([...(files ?? []).filter((file) => isSource(file) && existsSync(file)), ...found])];
}

/** Reads the names that a project gives to modules, each with the first path that it stands for. */
function readPaths(chain) {
  const found = chain.find(({ settings }) => settings.compilerOptions?.paths !== undefined);
  const base = chain.find(({ settings }) => settings.compilerOptions?.baseUrl !== undefined);
  const { file: from, settings } = base ?? found ?? {};
  const paths = Object.entries(found?.settings.compilerOptions.paths ?? {}).filter(
    ([, targets]) => targets?.length > 0,
  );
  return Object.fromEntries(
    paths.map(([name, [target]]) => [name, resolve(dirname(from), settings.compilerOptions.baseUrl ?? '', target)]),
  );
}

/** Reads an app's package.json; one that cannot be read says nothing here. */
export function readPackage(root) {
  const file = join(root, 'package.json');
  return existsSync(file) ? parse(readFileSync(file, 'utf8')) : {};
}

/** Reads a project's file and those that it extends. What stands first wins. */
function readChain(file, seen = new Set()) {
  if (file === undefined || seen.has(file)) return [];
  const settings = parse(readFileSync(file, 'utf8'));
  const parents = [settings.extends ?? []].flat().reverse();
  const within = new Set([...seen, file]);
  return [{ file, settings }, ...parents.flatMap((name) => readChain(findExtended(name, file), within))];
}

function findExtended(name, from) {
  if (NOT_EXTENDED.test(name)) {
    const path = resolve(dirname(from), name);
    return [path, `${path}.json`].find((file) => /\.json$/.test(file) && existsSync(file));
  }
  for (const request of [`${name}/tsconfig.json`, `${name}.json`, name]) {
    try {
      const found = createRequire(from).resolve(request);
      if (found.endsWith('.json')) return found;
    } catch {
      // The next form of the name may be the right one; the compiler reports a name that leads nowhere.
    }
  }
  return undefined;
}

/** Reads JSON with comments and trailing commas. What cannot be read says nothing here: the compiler reports it. */
function parse(text) {
  const withoutComments = text.replace(/("(?:[^"\\]|\\.)*")|\/\/.*|\/\*[\s\S]*?\*\//g, '$1');
  try {
    return JSON.parse(withoutComments.replace(/("(?:[^"\\]|\\.)*")|,(?=\s*[}\]])/g, '$1').trim()) ?? {};
  } catch {
    return {};
  }
}

/** Fills the one variable that paths of a project may have. */
function fill(path, root) {
  return String(path).replace(/\$\{configDir\}/, root);
}

/** Turns a path with the wildcards of a project into a pattern; `whole` lets it match what is below, too. */
function toPattern(path, whole) {
  const pattern = toSlashes(path)
    .replace(/[.+^${}()|[\]\\]/g, '\\$&')
    .replace(/\/\*\*(\/|$)|\*|\?/g, (found, end) => {
      if (found === '*' || found === '?') return found === '*' ? '[^/]*' : '[^/]';
      return end === '/' ? '/(?:.*/)?' : '/.*';
    });
  return new RegExp(`^${pattern}${whole ? '(?:/.*)?' : ''}$`);
}

function toSlashes(path) {
  return path.replaceAll('\\', '/');
}

function filesIn(folder, isExcluded) {
  if (!isAbsolute(folder) || !existsSync(folder)) return [];
  return readdirSync(folder, { withFileTypes: true }).flatMap((entry) => {
    const path = join(folder, entry.name);
    if (PASSED_OVER.test(entry.name) || isExcluded(path)) return [];
    return entry.isDirectory() ? filesIn(path, isExcluded) : [path];
  });
}
