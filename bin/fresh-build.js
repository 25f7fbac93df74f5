import { spawnSync } from 'node:child_process';
import {
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  realpathSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { createRequire } from 'node:module';
import { basename, dirname, isAbsolute, join, relative } from 'node:path';
import { fileURLToPath } from 'node:url';
import {
  adoptRecord,
  findDifferences,
  hasSources,
  isOverwritten,
  outputOf,
  readRecord,
  removeRecord,
  takeSnapshot,
  writeRecord,
} from './compiled-from.js';
import { findProject, readProject } from './compiler-input.js';
import { findAliases, writeImports } from './import-names.js';

// TypeScript's own incremental build is no substitute for what stands here. It knows only after it was started whether it
// has something to do, while each start of a worker asks that, also in production, where there is no compiler. It leaves
// the outputs of removed sources where they are, and replaces outputs one by one, while a worker may be loading them.

/** The folders of an app in which each source must have been compiled, even if something else than this compiled them. */
const APP_FOLDERS = ['src', 'queues', 'tasks', 'config'];
/** Workers look into these folders of dist/ to find their code, so the output of a removed source must not stay there. */
const DISCOVERED_FOLDERS = ['tasks', 'queues'];
const LOCK_LIMIT_MS = 120_000;
const UNWRITTEN_LIMIT_MS = 5_000;

// In all that follows, `root` is the folder of the package.

/** Lists why `dist/` does not match the sources; nothing when it does, or when there is nothing to compile. */
export function staleFiles(root) {
  if (!existsSync(join(root, 'tsconfig.json')) || runsFromSources(root)) return [];
  const record = readRecord(root);
  if (record !== undefined && !hasSources(root, record)) return [];
  const differences = record === undefined ? [] : findDifferences(root, record);
  if (record !== undefined && (differences.length === 0 || !isOverwritten(root, record))) {
    return [...differences, ...leftovers(root)];
  }
  const { sources } = readProject(root);
  if (sources.length === 0) return [];
  return [...sources.flatMap((source) => reasonAgainst(root, source) ?? []), ...leftovers(root)];
}

/** Tells whether it is known by content that `dist/` was compiled from the present sources. */
export function isKnownFresh(root) {
  const record = readRecord(root);
  return record !== undefined && findDifferences(root, record).length === 0 && leftovers(root).length === 0;
}

/** Tells whether something else has compiled, though this program could, so that nobody knows from what. */
export function isUnrecorded(root) {
  if (!existsSync(join(root, 'tsconfig.json')) || runsFromSources(root) || readRecord(root) !== undefined) return false;
  return findCompiler(root) !== undefined && readProject(root).sources.length > 0;
}

/** Tells whether an app runs from its sources: Node can run TypeScript, and nobody has compiled it. */
export function runsFromSources(root) {
  // Islet itself is always compiled: its parts import it by its own name.
  return Boolean(process.features.typescript) && !existsSync(join(root, 'dist')) && !isIslet(root);
}

/** Finds the compiler of an app, which may be installed in a folder above, as in a workspace. */
export function findCompiler(root) {
  return fileOf('typescript', 'bin/tsc', join(root, 'package.json'));
}

/**
 * Compiles again, and puts the result in the place of `dist/`. When that fails, this throws the compiler's output, and the
 * old `dist/` stays. Two builds at once wait for each other, and the second one finds nothing to do.
 */
export function build(root) {
  const waited = lock(root);
  try {
    if (!waited || !isKnownFresh(root)) compile(root);
  } finally {
    rmSync(lockFile(root), { force: true });
  }
}

/**
 * Tells whether what something else has compiled, and what is stale by its times, is what this program would compile. It is
 * known by content then, so that this is found out once.
 */
export function proveFresh(root) {
  const record = readRecord(root);
  if ((record !== undefined && !isOverwritten(root, record)) || findCompiler(root) === undefined) return false;
  try {
    lock(root);
  } catch {
    // Nothing may be written here.
    return false;
  }
  const fresh = join(root, 'dist.new');
  try {
    compileInto(root, fresh);
    return adoptRecord(root, fresh) && leftovers(root).length === 0;
  } catch {
    // The sources do not compile.
    return false;
  } finally {
    rmSync(fresh, { recursive: true, force: true });
    rmSync(lockFile(root), { force: true });
  }
}

/** Returns the command of a compiler that goes on and compiles at each save. It writes no output where there are errors. */
export function watchCommand(root) {
  const output = runsFromSources(root) ? ['--noEmit'] : ['--noEmitOnError', '--listFiles', '--outDir', 'dist'];
  const [script, ...project] = compilerCommand(root);
  // The script would start this program as a child, which would outlive it. Older compilers are a script alone.
  const platform = `@typescript/typescript-${process.platform}-${process.arch}`;
  const native = fileOf(platform, process.platform === 'win32' ? 'lib/tsc.exe' : 'lib/tsc', realpathSync(script));
  const compiler = native === undefined ? [process.execPath, script] : [native];
  return [...compiler, ...project, ...output, '--watch', '--preserveWatchOutput', '--pretty', 'false'];
}

/** Tells whether a line of the compiler's names a file that it has read. Errors name files by relative paths. */
export function isListed(line) {
  return isAbsolute(line) && existsSync(line);
}

/**
 * Makes `dist/` match the sources after such a compiler has found no error: outputs of removed tasks and queues are
 * removed, and what was compiled is recorded. Returns what nevertheless keeps the code from running.
 */
export function refreshOutputs(root, { listed, snapshot }) {
  const folder = join(root, 'dist');
  const unknown = unknownNames(root);
  if (!existsSync(folder)) return unknown;
  for (const file of leftoverFiles(root)) rmSync(join(root, file), { recursive: true, force: true });
  writeImports(root, folder);
  if (unknown.length === 0) writeRecord(root, { folder, listed, snapshot });
  else removeRecord(root);
  return unknown;
}

/** Lists the imports of what runs that only the compiler understands. */
export function unknownNames(root) {
  if (!existsSync(join(root, 'tsconfig.json'))) return [];
  const fromSources = runsFromSources(root);
  return findAliases(root, (source) => (fromSources ? source : outputOf(root, source)));
}

function isIslet(root) {
  return realpathSync(root) === dirname(dirname(realpathSync(fileURLToPath(import.meta.url))));
}

function compile(root) {
  // The result is made beside dist/, so that the relative paths of the source maps hold.
  const [dist, fresh, old] = ['dist', 'dist.new', 'dist.old'].map((name) => join(root, name));
  rmSync(old, { recursive: true, force: true });
  compileInto(root, fresh);
  if (existsSync(dist)) renameSync(dist, old);
  renameSync(fresh, dist);
  rmSync(old, { recursive: true, force: true });
}

function compileInto(root, fresh) {
  rmSync(fresh, { recursive: true, force: true });
  const snapshot = takeSnapshot(root);
  const command = [...compilerCommand(root), '--noEmitOnError', '--listFiles', '--pretty', 'false', '--outDir', fresh];
  const done = spawnSync(process.execPath, command, { cwd: root, encoding: 'utf8', maxBuffer: Infinity });
  const lines = done.error === undefined ? `${done.stdout}${done.stderr}`.split('\n') : [done.error.message];
  if (done.status !== 0) {
    rmSync(fresh, { recursive: true, force: true });
    throw new Error(`The build failed.\n${lines.filter((line) => !isListed(line)).join('\n')}`.trimEnd());
  }
  // An app may have nothing to compile.
  mkdirSync(fresh, { recursive: true });
  const aliases = findAliases(root, (source) => outputOf(root, source, fresh));
  if (aliases.length > 0) {
    rmSync(fresh, { recursive: true, force: true });
    throw new Error(`The build failed.\n${aliases.join('\n')}`);
  }
  writeImports(root, fresh);
  writeRecord(root, { folder: fresh, listed: lines.filter(isListed), snapshot });
}

function compilerCommand(root) {
  const compiler = findCompiler(root);
  if (compiler === undefined) throw new Error('The compiler is not installed. Run "npm ci" first.');
  return [compiler, '-p', basename(findProject(root) ?? 'tsconfig.json')];
}

/** Returns a file of an installed package, as the module `from` would find it; undefined when it is not there. */
function fileOf(name, file, from) {
  try {
    const found = join(dirname(createRequire(from).resolve(`${name}/package.json`)), file);
    return existsSync(found) ? found : undefined;
  } catch {
    return undefined;
  }
}

function filesIn(folder) {
  if (!existsSync(folder)) return [];
  return readdirSync(folder, { withFileTypes: true }).flatMap((entry) => {
    const path = join(folder, entry.name);
    if (!entry.isDirectory()) return [path];
    return entry.name === 'node_modules' ? [] : filesIn(path);
  });
}

/** Compares times, which is all there is to compare where something else has compiled. */
function reasonAgainst(root, source) {
  const name = relative(root, source);
  const output = statSync(outputOf(root, source), { throwIfNoEntry: false });
  if (output !== undefined) {
    return statSync(source).mtimeMs > output.mtimeMs ? `${name} is newer than its compiled file` : undefined;
  }
  // That compiler may have been told to compile less than the project says.
  const isNeeded =
    APP_FOLDERS.some((folder) => source.startsWith(join(root, folder, '/'))) && !/\.test\.\w+$/.test(name);
  return isNeeded ? `${name} is not compiled` : undefined;
}

function leftovers(root) {
  return leftoverFiles(root).map((file) => `${file} no longer has a source`);
}

/** Lists the outputs of tasks and queues whose sources are gone: whole folders, and single files. */
function leftoverFiles(root) {
  const outputs = DISCOVERED_FOLDERS.flatMap((folder) => filesIn(join(root, 'dist', folder)));
  const gone = outputs.flatMap((file) => {
    const source = relative(join(root, 'dist'), file).replace(/js$/, '');
    if (!/\.[cm]?js$/.test(file) || ['ts', 'js', 'tsx'].some((ending) => existsSync(join(root, source + ending))))
      return [];
    return [existsSync(join(root, dirname(source))) ? relative(root, file) : relative(root, dirname(file))];
  });
  return [...new Set(gone)];
}

function lockFile(root) {
  return join(root, '.islet', 'build.lock');
}

/** Takes the lock of the build, and returns whether another build was waited for. */
function lock(root) {
  const file = lockFile(root);
  mkdirSync(dirname(file), { recursive: true, mode: 0o700 });
  const deadline = Date.now() + LOCK_LIMIT_MS;
  for (let waited = false; ; waited = true) {
    if (createLock(file)) return waited;
    if (isDead(file)) clearDeadLock(file);
    if (Date.now() > deadline)
      throw new Error(`Another build still holds "${file}". If no build is running, remove that file.`);
    // A build is synchronous: nothing else may run before it is done.
    Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 50);
  }
}

function createLock(file) {
  try {
    writeFileSync(file, String(process.pid), { flag: 'wx', mode: 0o600 });
    return true;
  } catch (error) {
    if (error.code === 'EEXIST') return false;
    throw error;
  }
}

/**
 * Removes the lock of a dead build. A second lock guards this: of two builds that see the dead lock, the slower one would
 * otherwise remove the lock that the faster one has just taken.
 */
function clearDeadLock(file) {
  const guard = `${file}.takeover`;
  if (createLock(guard)) {
    if (isDead(file)) rmSync(file, { force: true });
    rmSync(guard, { force: true });
  } else if (isDead(guard)) {
    rmSync(guard, { force: true });
  }
}

/** Tells whether the build that made a lock was killed before it could remove it. */
function isDead(file) {
  try {
    const holder = Number(readFileSync(file, 'utf8'));
    // The holder writes its id right after making the file.
    if (holder === 0) return Date.now() - statSync(file).mtimeMs > UNWRITTEN_LIMIT_MS;
    process.kill(holder, 0);
    return false;
  } catch (error) {
    return error.code === 'ESRCH';
  }
}
