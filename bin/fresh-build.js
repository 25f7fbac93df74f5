import { spawnSync } from 'node:child_process';
import {
  closeSync,
  existsSync,
  mkdirSync,
  openSync,
  readdirSync,
  readFileSync,
  realpathSync,
  renameSync,
  rmSync,
  statSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join, relative } from 'node:path';
import { fileURLToPath } from 'node:url';

/** What an app's build compiles, and what Islet's own compiles beside it. */
const SOURCE_FOLDERS = ['src', 'queues', 'tasks', 'config'];
const OWN_FOLDERS = ['lab', 'test/fixtures'];
/** Folders whose files are found by looking into dist/, so a removed one must not stay there. */
const DISCOVERED_FOLDERS = ['tasks', 'queues'];
const LOCK_LIMIT_MS = 120_000;
const UNWRITTEN_LIMIT_MS = 5_000;

/**
 * Lists why `dist/` does not match the TypeScript sources.
 *
 * @param {string} root the folder of the package
 * @returns {string[]} one reason each; empty when it matches, or when there is nothing to compile
 */
export function staleFiles(root) {
  if (!existsSync(join(root, 'tsconfig.json')) || runsFromSources(root)) return [];
  const sources = sourcesOf(root);
  if (sources.length === 0) return [];
  const stale = sources.map((source) => reasonAgainst(root, source)).filter((reason) => reason !== undefined);
  return [...stale, ...leftovers(root).map((file) => `${file} has no source any more`)];
}

/**
 * Says whether an app's TypeScript files run as they are: where this Node can do that, and nobody has compiled them.
 * Islet itself is always compiled.
 *
 * @param {string} root the folder of the package
 */
export function runsFromSources(root) {
  if (!process.features.typescript || existsSync(join(root, 'dist'))) return false;
  return !isIslet(root);
}

/** @param {string} root */
function isIslet(root) {
  return realpathSync(root) === dirname(dirname(realpathSync(fileURLToPath(import.meta.url))));
}

/** @param {string} root */
function sourcesOf(root) {
  const folders = isIslet(root) ? [...SOURCE_FOLDERS, ...OWN_FOLDERS] : SOURCE_FOLDERS;
  return folders.flatMap((folder) => sourcesIn(join(root, folder)));
}

/**
 * Finds the compiler of an app, which may stand in a folder above, as in a workspace.
 *
 * @param {string} root the folder of the package
 * @returns {string | undefined}
 */
export function findCompiler(root) {
  try {
    const { resolve } = createRequire(join(root, 'package.json'));
    const compiler = join(dirname(resolve('typescript/package.json')), 'bin/tsc');
    return existsSync(compiler) ? compiler : undefined;
  } catch {
    // It is not installed.
    return undefined;
  }
}

/**
 * Compiles again, and puts the result in the place of `dist/`; when that fails, the old one stays. Two builds at once
 * wait for each other, and the second finds nothing to do.
 *
 * @param {string} root the folder of the package
 * @throws {Error} with the compiler's output when it fails
 */
export function build(root) {
  const waited = lock(root);
  try {
    if (!waited || staleFiles(root).length > 0) compile(root);
  } finally {
    rmSync(lockFile(root), { force: true });
  }
}

/**
 * The compiler as a process that goes on and compiles at each save, for `islet dev`. Files with errors are not written.
 *
 * @param {string} root the folder of the package
 * @returns {string[]} the command
 * @throws {Error} when the compiler is not installed
 */
export function watchCommand(root) {
  const output = runsFromSources(root) ? ['--noEmit'] : ['--noEmitOnError', '--outDir', 'dist'];
  const [script, ...args] = compilerCommand(root);
  const native = nativeCompiler(script);
  return [
    ...(native === undefined ? [process.execPath, script] : [native]),
    ...args,
    ...output,
    '--watch',
    '--preserveWatchOutput',
    '--pretty',
    'false',
  ];
}

/**
 * Makes `dist/` match the sources after such a compiler has found no error: removes what is compiled of tasks and queues
 * that are gone, and marks outputs as new whose source was saved as it was, since those are not written again.
 *
 * @param {string} root the folder of the package
 */
export function refreshOutputs(root) {
  if (!existsSync(join(root, 'dist'))) return;
  for (const file of leftovers(root)) rmSync(join(root, file), { recursive: true, force: true });
  const now = new Date();
  for (const source of sourcesOf(root)) {
    const output = outputOf(root, source);
    if (existsSync(output) && statSync(source).mtimeMs > statSync(output).mtimeMs) utimesSync(output, now, now);
  }
}

/** @param {string} root */
function compile(root) {
  // Beside dist/, so that the source maps' relative paths hold.
  const [fresh, old] = [join(root, 'dist.new'), join(root, 'dist.old')];
  for (const folder of [fresh, old]) rmSync(folder, { recursive: true, force: true });
  const command = [...compilerCommand(root), '--noEmitOnError', '--outDir', fresh];
  const done = spawnSync(process.execPath, command, { cwd: root, encoding: 'utf8' });
  if (done.status !== 0) {
    rmSync(fresh, { recursive: true, force: true });
    throw new Error(`The build failed.\n${done.error?.message ?? `${done.stdout}${done.stderr}`}`.trimEnd());
  }
  if (existsSync(join(root, 'dist'))) renameSync(join(root, 'dist'), old);
  renameSync(fresh, join(root, 'dist'));
  rmSync(old, { recursive: true, force: true });
}

/**
 * @param {string} root
 * @param {string} source
 */
function outputOf(root, source) {
  return join(root, 'dist', relative(root, source).replace(/\.ts$/, '.js'));
}

/** @param {string} root */
function compilerCommand(root) {
  const compiler = findCompiler(root);
  if (compiler === undefined) throw new Error('The compiler is not installed. Run "npm ci" first.');
  return [compiler, '-p', existsSync(join(root, 'tsconfig.build.json')) ? 'tsconfig.build.json' : 'tsconfig.json'];
}

/**
 * Finds the program that the compiler's script starts, where it does: as a child of that, it would outlive it.
 *
 * @param {string} script
 * @returns {string | undefined}
 */
function nativeCompiler(script) {
  try {
    const { resolve } = createRequire(realpathSync(script));
    const platform = dirname(resolve(`@typescript/typescript-${process.platform}-${process.arch}/package.json`));
    const program = join(platform, 'lib', process.platform === 'win32' ? 'tsc.exe' : 'tsc');
    return existsSync(program) ? program : undefined;
  } catch {
    // A compiler that is a script.
    return undefined;
  }
}

/**
 * @param {string} folder
 * @returns {string[]} the files that the compiler makes an output of
 */
function sourcesIn(folder) {
  return filesIn(folder).filter((file) => /(?<!\.test|\.d)\.ts$/.test(file));
}

/**
 * @param {string} folder
 * @returns {string[]}
 */
function filesIn(folder) {
  if (!existsSync(folder)) return [];
  return readdirSync(folder, { withFileTypes: true }).flatMap((entry) => {
    const path = join(folder, entry.name);
    if (!entry.isDirectory()) return [path];
    return entry.name === 'node_modules' ? [] : filesIn(path);
  });
}

/**
 * @param {string} root
 * @param {string} source
 * @returns {string | undefined}
 */
function reasonAgainst(root, source) {
  const name = relative(root, source);
  const output = statSync(outputOf(root, source), { throwIfNoEntry: false });
  if (output === undefined) return `${name} is not compiled`;
  return statSync(source).mtimeMs > output.mtimeMs ? `${name} is newer than its compiled file` : undefined;
}

/**
 * Lists what is compiled of tasks and queues whose source is gone: whole folders, and single files.
 *
 * @param {string} root
 * @returns {string[]}
 */
function leftovers(root) {
  const outputs = DISCOVERED_FOLDERS.flatMap((folder) => filesIn(join(root, 'dist', folder)));
  const gone = outputs.flatMap((file) => {
    const source = relative(join(root, 'dist'), file).replace(/\.js$/, '');
    if (!file.endsWith('.js') || ['.ts', '.js'].some((ending) => existsSync(join(root, source + ending)))) return [];
    return [existsSync(join(root, dirname(source))) ? relative(root, file) : relative(root, dirname(file))];
  });
  return [...new Set(gone)];
}

/** @param {string} root */
function lockFile(root) {
  return join(root, '.islet', 'build.lock');
}

/**
 * @param {string} root
 * @returns {boolean} whether another build was waited for
 */
function lock(root) {
  const file = lockFile(root);
  mkdirSync(dirname(file), { recursive: true, mode: 0o700 });
  const deadline = Date.now() + LOCK_LIMIT_MS;
  for (let waited = false; ; waited = true) {
    if (createLock(file)) return waited;
    if (isDead(file)) clearDeadLock(file);
    if (Date.now() > deadline) throw new Error(`Another build still holds "${file}". If none runs, remove it.`);
    pause(50);
  }
}

/** @param {string} file */
function createLock(file) {
  try {
    const handle = openSync(file, 'wx', 0o600);
    writeFileSync(handle, String(process.pid));
    closeSync(handle);
    return true;
  } catch (error) {
    if (error.code === 'EEXIST') return false;
    throw error;
  }
}

/**
 * Removes a dead build's lock. A second lock guards this: of two that see the dead lock, the slower one would otherwise
 * remove the lock that the faster one has just taken.
 *
 * @param {string} file
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

/**
 * Says whether the build that made the lock was killed before it could remove it.
 *
 * @param {string} file
 */
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

/**
 * Waits without giving up the thread: a build is synchronous, nothing else may run before it is done.
 *
 * @param {number} ms
 */
function pause(ms) {
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, ms);
}
