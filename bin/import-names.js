/**
 * Looks after names of modules that are neither paths nor packages. Those of package.json (`"imports"`) lead to sources, and
 * in dist/ to what was compiled of them. Those of tsconfig.json (`"paths"`) are known to the compiler alone.
 */
import { existsSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { isBuiltin } from 'node:module';
import { dirname, join, relative } from 'node:path';
import { readPackage, readProject } from './compiler-input.js';

const SOURCE_ENDING = /\.([cm]?)tsx?$/;
const TEXT = /("(?:\\.|[^"\\\n])*"|'(?:\\.|[^'\\\n])*')|\/\*[\s\S]*?\*\/|\/\/.*|`(?:\\.|[^`\\])*`/g;
const IMPORT =
  /^\s*(?:import|export)\b(?!\s+type\b)(?:[^'"`;]*?\bfrom)?\s*(['"])([^'"]+)\1|\bimport\(\s*(['"])([^'"]+)\3/gm;

/** Writes a package.json for the compiled code, if that of the app gives names to sources. */
export function writeImports(root, folder) {
  const { name, type, imports, exports } = readPackage(root);
  const file = join(folder, 'package.json');
  if (!SOURCE_ENDING.test(targetsOf(imports).find((target) => SOURCE_ENDING.test(target)) ?? '')) {
    return rmSync(file, { force: true });
  }
  const compiled = { name, type, imports: toCompiled(imports), exports: toCompiled(exports) };
  writeFileSync(file, `${JSON.stringify(compiled, null, 2)}\n`);
}

/**
 * Lists the imports by names of tsconfig.json that Node does not know, with what to do. `codeOf` returns the file of a
 * source that runs.
 */
export function findAliases(root, codeOf) {
  const project = readProject(root);
  const { paths } = project;
  const patterns = Object.keys(paths).map((name) => ({ name, ...split(name) }));
  if (patterns.length === 0) return [];
  return project.sources.flatMap((source) => {
    const code = codeOf(source);
    if (!existsSync(code)) return [];
    const found = importsOf(readFileSync(code, 'utf8')).flatMap((specifier) => {
      const alias = patterns.find((pattern) => matches(pattern, specifier));
      return alias && !isKnown(root, source, specifier)
        ? [describe(root, source, specifier, alias, paths[alias.name])]
        : [];
    });
    return [...new Set(found)];
  });
}

function targetsOf(target) {
  if (typeof target === 'string') return [target];
  return target === null || typeof target !== 'object' ? [] : Object.values(target).flatMap(targetsOf);
}

function toCompiled(target) {
  if (typeof target === 'string') return target.replace(/^\.\/dist\//, './').replace(SOURCE_ENDING, '.$1js');
  if (target === null || typeof target !== 'object') return target;
  if (Array.isArray(target)) return target.map(toCompiled);
  return Object.fromEntries(Object.entries(target).map(([key, value]) => [key, toCompiled(value)]));
}

function split(name) {
  const [before = '', after] = name.split('*');
  return { before, after };
}

function matches({ before, after }, specifier) {
  if (after === undefined) return specifier === before;
  // What stands for itself, and any file at all, is no name.
  return !/^[./#]/.test(specifier) && specifier.startsWith(before) && specifier.endsWith(after);
}

function importsOf(text) {
  const code = text.replace(TEXT, (found, quoted) => quoted ?? found.replace(/[^\n]/g, ' '));
  return [...code.matchAll(IMPORT)].map(([, , from, , called]) => from ?? called);
}

/** Tells whether Node would find the package of a name: in the folders above, or as the app's own name. */
function isKnown(root, source, specifier) {
  const [name] = /^(@[^/]+\/)?[^/]+/.exec(specifier) ?? [specifier];
  if (isBuiltin(specifier) || readPackage(root).name === name) return true;
  for (let folder = dirname(source); ; folder = dirname(folder)) {
    if (existsSync(join(folder, 'node_modules', name))) return true;
    if (dirname(folder) === folder) return false;
  }
}

function describe(root, source, specifier, { name, before }, target) {
  const lines = readFileSync(source, 'utf8').split('\n');
  const line =
    lines.findIndex((text) => [`'${specifier}'`, `"${specifier}"`].some((quoted) => text.includes(quoted))) + 1;
  const place = `${relative(root, source)}${line > 0 ? `:${line}` : ''}`;
  const said = `${place} imports "${specifier}", a name that tsconfig.json gives to the compiler alone ("paths").`;
  if (relative(root, target).startsWith('..')) {
    return `${said} Make that folder a package of the workspace, and add it to the dependencies in package.json.`;
  }
  const renamed = (text) => `#${text.replace(/^[^\w*]+/, '')}`;
  const shown = `./${relative(root, target).replaceAll('\\', '/')}`;
  const to = SOURCE_ENDING.test(shown) ? shown : `${shown.replace(/\.[cm]?js$/, '')}.ts`;
  const entry = `"imports": { ${JSON.stringify(renamed(name))}: ${JSON.stringify(to)} }`;
  const instead = renamed(before) + specifier.slice(before.length).replace(/\.[cm]?[jt]sx?$/, '');
  return `${said} Import "${instead}", and write ${entry} into package.json: the compiler, Node and test tools know such names.`;
}
