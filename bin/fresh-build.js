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
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join, relative } from 'node:path';
import { fileURLToPath } from 'node:url';

// TypeScript's own incremental build is no substitute for what stands here. It knows only after it was started whether it
// has something to do, while each start of a worker asks that, also in production, where there is no compiler. It leaves
// the outputs of removed sources where they are, and replaces outputs one by one, while a worker may be loading them.

/** The folders that an app's build compiles, and those that Islet's own build compiles beside them. */
const SOURCE_FOLDERS = ['src', 'queues', 'tasks', 'config'];
const OWN_FOLDERS = ['lab', 'test/fixtures'];
/** Workers look into these folders of dist/ to find their code, so the output of a removed source must not stay there. */
const DISCOVERED_FOLDERS = ['tasks', 'queues'];
const LOCK_LIMIT_MS = 120_000;
const UNWRITTEN_LIMIT_MS = 5_000;

// In all that follows, `root` is the folder of the package.

/** Lists why `dist/` does not match the sources; nothing when it does, or when there is nothing to compile. */
export function staleFiles(root) {
  if (!existsSync(join(root, 'tsconfig.json')) || runsFromSources(root)) return [];
  const sources = sourcesOf(root);
  if (sources.length === 0) return [];
  const stale = sources.map((source) => reasonAgainst(root, source)).filter((reason) => reason !== undefined);
  return [...stale, ...leftovers(root).map((file) => `${file} no longer has a source`)];
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
    if (!waited || staleFiles(root).length > 0) compile(root);
  } finally {
    rmSync(lockFile(root), { force: true });
  }
}

/** Returns the command of a compiler that goes on and compiles at each save. It writes no output where there are errors. */
export function watchCommand(root) {
  const output = runsFromSources(root) ? ['--noEmit'] : ['--noEmitOnError', '--outDir', 'dist'];
  const [script, ...project] = compilerCommand(root);
  // The script would start this program as a child, which would outlive it. Older compilers are a script alone.
  const platform = `@typescript/typescript-${process.platform}-${process.arch}`;
  const native = fileOf(platform, process.platform === 'win32' ? 'lib/tsc.exe' : 'lib/tsc', realpathSync(script));
  const compiler = native === undefined ? [process.execPath, script] : [native];
  return [...compiler, ...project, ...output, '--watch', '--preserveWatchOutput', '--pretty', 'false'];
}

/**
 * Makes `dist/` match the sources after such a compiler has found no error. Outputs of removed tasks and queues are
 * removed. An output whose source was saved unchanged is marked as new, since the compiler does not write it again.
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

function isIslet(root) {
  return realpathSync(root) === dirname(dirname(realpathSync(fileURLToPath(import.meta.url))));
}

function compile(root) {
  // The result is made beside dist/, so that the relative paths of the source maps hold.
  const [dist, fresh, old] = ['dist', 'dist.new', 'dist.old'].map((name) => join(root, name));
  for (const folder of [fresh, old]) rmSync(folder, { recursive: true, force: true });
  const command = [...compilerCommand(root), '--noEmitOnError', '--outDir', fresh];
  const done = spawnSync(process.execPath, command, { cwd: root, encoding: 'utf8' });
  if (done.status !== 0) {
    rmSync(fresh, { recursive: true, force: true });
    throw new Error(`The build failed.\n${done.error?.message ?? `${done.stdout}${done.stderr}`}`.trimEnd());
  }
  if (existsSync(dist)) renameSync(dist, old);
  renameSync(fresh, dist);
  rmSync(old, { recursive: true, force: true });
}

function compilerCommand(root) {
  const compiler = findCompiler(root);
  if (compiler === undefined) throw new Error('The compiler is not installed. Run "npm ci" first.');
  return [compiler, '-p', existsSync(join(root, 'tsconfig.build.json')) ? 'tsconfig.build.json' : 'tsconfig.json'];
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

/** Lists the sources of which the compiler makes an output. */
function sourcesOf(root) {
  const folders = isIslet(root) ? [...SOURCE_FOLDERS, ...OWN_FOLDERS] : SOURCE_FOLDERS;
  return folders.flatMap((folder) => filesIn(join(root, folder))).filter((file) => /(?<!\.test|\.d)\.ts$/.test(file));
}

function outputOf(root, source) {
  return join(root, 'dist', relative(root, source).replace(/\.ts$/, '.js'));
}

function filesIn(folder) {
  if (!existsSync(folder)) return [];
  return readdirSync(folder, { withFileTypes: true }).flatMap((entry) => {
    const path = join(folder, entry.name);
    if (!entry.isDirectory()) return [path];
    return entry.name === 'node_modules' ? [] : filesIn(path);
  });
}

function reasonAgainst(root, source) {
  const name = relative(root, source);
  const output = statSync(outputOf(root, source), { throwIfNoEntry: false });
  if (output === undefined) return `${name} is not compiled`;
  return statSync(source).mtimeMs > output.mtimeMs ? `${name} is newer than its compiled file` : undefined;
}

/** Lists the outputs of tasks and queues whose sources are gone: whole folders, and single files. */
function leftovers(root) {
  const outputs = DISCOVERED_FOLDERS.flatMap((folder) => filesIn(join(root, 'dist', folder)));
  const gone = outputs.flatMap((file) => {
    const source = relative(join(root, 'dist'), file).replace(/\.js$/, '');
    if (!file.endsWith('.js') || ['.ts', '.js'].some((ending) => existsSync(join(root, source + ending)))) return [];
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
