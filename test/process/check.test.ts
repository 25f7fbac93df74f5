import { readFileSync, writeFileSync } from 'node:fs';
import { mkdir, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { pathToFileURL } from 'node:url';
import { afterAll, afterEach, beforeAll, describe, expect, test, vi } from 'vitest';
import type { FailedImport, Imported } from '../../src/tools/check/import-module.ts';
import { killAll, repository, startIslet } from '../support/islet-process.ts';
import { copyFixture, openTempApp, type TempApp } from '../support/temp-app.ts';

afterEach(killAll);

async function check(cwd: string, ...flags: string[]) {
  const run = startIslet(['check', ...flags], { cwd, env: { NODE_ENV: 'development' } });
  const { code } = await run.exited;
  return { code, stdout: run.stdout(), stderr: run.stderr() };
}

interface Problem {
  code: string;
  queue: string | null;
  file: string | null;
  line: number | null;
  message: string;
}

/** The modules that are imported: the app's sources, where this Node runs those. */
const ending = Reflect.get(process.features, 'typescript') ? 'ts' : 'js';
const effect = 'Until this is fixed, the worker of queue "dying" does not start.';

function ofTask(name: string, line: string, message: string): string[] {
  return ['E_TASK_LOAD_FAILED', 'dying', `tasks/${name}/task.ts${line}`, `Task "${name}" (queue "dying"): ${message}`];
}

test('finds nothing wrong with the example app, and says what it has', async () => {
  const { code, stdout } = await check(repository, '--json');
  const report = JSON.parse(stdout);
  expect(report).toMatchObject({ ok: true, problems: [] });
  expect(report.queues).toContainEqual({
    queue: 'api-scraper',
    tasks: ['export-links', 'scrape-page'],
    importMs: expect.any(Number),
  });
  expect(code).toBe(0);
});

describe('in an app with every fault', () => {
  let app: TempApp;

  beforeAll(async () => {
    app = await openTempApp(copyFixture('faulty'));
  });

  afterAll(() => app.close());

  test('finds each of them, in one run, with its place', async () => {
    const { code, stdout } = await check(app.root, '--json');
    const report = JSON.parse(stdout) as { ok: boolean; problems: Problem[] };
    const found = report.problems.map((problem) => {
      const place = problem.line === null ? problem.file : `${problem.file}:${problem.line}`;
      return [problem.code, problem.queue ?? '', place ?? '', problem.message];
    });
    expect(found.sort((a, b) => a.join().localeCompare(b.join()))).toEqual([
      ['E_CATALOG_INVALID', '', 'queues/bare/dependencies.ts', expect.stringContaining('has no manifest.ts beside it')],
      [
        'E_CATALOG_INVALID',
        '',
        'tasks/lost/manifest.ts:6',
        'Task "lost" names a queue "dyin" that does not exist. Did you mean "dying"?',
      ],
      [
        'E_CATALOG_INVALID',
        '',
        'tasks/orphan/task.ts',
        'tasks/orphan/task.ts has no manifest.ts beside it, so nothing enqueues or runs it. Add one, or remove the folder.',
      ],
      [
        'E_CATALOG_INVALID',
        '',
        'tasks/second/manifest.ts:5',
        'Queue "mixed" mixes tasks with and without a priority ("first", "second"); jobs without one would starve the others. Give all of its tasks a priority, or none.',
      ],
      [
        'E_CATALOG_INVALID',
        '',
        'tasks/second/manifest.ts:8',
        'Task "second" has the former name "first", which is claimed by task "first" of queue "mixed".',
      ],
      [
        'E_CONFIG_INVALID',
        '',
        'config/index.ts:3',
        'config/index.ts: `redis.url`: expected a redis:// or rediss:// URL',
      ],
      [
        'E_DEPENDENCIES_FAILED',
        'dying',
        'queues/dying/dependencies.ts:2',
        `The dependencies of queue "dying": it could not be imported: no connection without a licence. ${effect} Fix it.`,
      ],
      [
        'E_HOOKS_FAILED',
        'dying',
        'queues/dying/hooks.ts',
        `The hooks of queue "dying": it must export a function by default. ${effect}`,
      ],
      [
        'E_MANIFEST_INVALID',
        '',
        'tasks/broken/manifest.ts:8',
        'Task "broken" does not parse: `attempts`: expected an integer from 1 to 1000, got 0.',
      ],
      [
        'E_MANIFEST_INVALID',
        'rotten',
        'queues/rotten/manifest.ts:5',
        'Queue "rotten" does not parse: `concurrency`: expected an integer from 1 to 10000, got 0.',
      ],
      [
        'E_NAMES_CLOSE',
        '',
        'tasks/sendmail/manifest.ts:5',
        'The names "sendmail" of task "sendmail" and "send-mail" of task "send-mail" are easily taken for one another. Rename one.',
      ],
      [
        'E_QUEUE_UNUSED',
        'empty',
        'queues/empty/manifest.ts:3',
        'Queue "empty" has no task: its worker has nothing to do. Give it one, or remove its folder.',
      ],
      ofTask('escapes', ':4', `an exception escaped from its import: nobody waits for this. ${effect} Fix it.`),
      ofTask('exits', '', `its import ended the process with exit code 3, which an import must not do. ${effect}`),
      ofTask(
        'lacks',
        ':9',
        `it could not be imported: The requested module './manifest.${ending}' does not provide an export named 'limits'. ${effect} Fix it.`,
      ),
      ofTask(
        'needs',
        ':3',
        `it could not be imported: Cannot find package 'no-such-package' imported from tasks/needs/task.ts. ${effect} Install it (npm install no-such-package), or fix the import.`,
      ),
      ofTask('no-code', '', `the file is not there. Add it. ${effect}`),
      ofTask(
        'rare',
        ':4',
        'it could not be imported: cannot log in to redis://***@example.com:6379/0. Until this is fixed, its jobs fail. Fix it.',
      ),
      ofTask('throws', ':4', `it could not be imported: not on this machine. ${effect} Fix it.`),
      ofTask(
        'waits',
        '',
        `it waits at its top level for something that never comes. Move the waiting into a function. ${effect}`,
      ),
      ofTask('wrong-manifest', '', `it implements the manifest of "send-mail". Import its own manifest. ${effect}`),
      [
        'E_TASK_LOAD_FAILED',
        'rotten',
        'tasks/served/task.ts',
        'Task "served" (queue "rotten"): it must export by default what implement() returns. Until this is fixed, the worker of queue "rotten" does not start.',
      ],
    ]);
    const keys = ['code', 'queue', 'file', 'line', 'message'];
    for (const problem of report.problems) expect(Object.keys(problem)).toEqual(keys);
    expect(report.ok).toBe(false);
    expect(code).toBe(1);
  });

  test('shows the same to people, and where it is', async () => {
    const { code, stdout } = await check(app.root);
    expect(stdout).toMatch(/^queue +tasks +imports +result\n/);
    expect(stdout).toMatch(/^dying +11 +\d+ ms +11 problems$/m);
    expect(stdout).toMatch(/^mixed +2 +\d+ ms +ok$/m);
    expect(stdout).toContain('\nE_DEPENDENCIES_FAILED queues/dying/dependencies.ts:2\n');
    expect(stdout).toMatch(/\n5 queues, 14 tasks: 22 problems\n$/);
    expect(code).toBe(1);
  });

  test('checks the code of one queue, where that is asked for', async () => {
    const { stdout } = await check(app.root, '--json', '--queue', 'mixed');
    const report = JSON.parse(stdout) as { queues: { queue: string }[]; problems: Problem[] };
    expect(report.queues.map(({ queue }) => queue)).toEqual(['mixed']);
    const codes = report.problems.map(({ code }) => code);
    expect(codes).not.toContain('E_TASK_LOAD_FAILED');
    expect(codes).not.toContain('E_QUEUE_UNUSED');
    // A broken manifest of another queue counts too: no worker starts with it.
    expect(codes).toContain('E_MANIFEST_INVALID');
  });
});

test('refuses a queue that is not there, and a folder that is no app', async () => {
  const unknown = await check(repository, '--queue', 'imagse');
  expect(unknown.stderr).toBe('E_QUEUE_UNKNOWN: There is no queue "imagse" in this app. Did you mean "images"?\n');
  expect(unknown.code).toBe(2);
  const nowhere = await check(tmpdir());
  expect(nowhere.stderr).toMatch(/^E_APP_NOT_FOUND: .* make a new app: islet init my-workers\.\n$/);
  expect(nowhere.code).toBe(1);
});

describe('imported apart', () => {
  let folder: string;

  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'islet check '));
  });

  afterAll(() => rm(folder, { recursive: true }));

  async function importApart(limitMs: number, sources: Record<string, string>): Promise<Imported[]> {
    const modules = Object.entries(sources).map(([name, text]) => {
      const file = join(folder, `${name}.mjs`);
      writeFileSync(file, text);
      return { file, name, exports: 'function' };
    });
    const module = await import(pathToFileURL(resolve('dist/src/tools/check/import-apart.js')).href);
    return module.importApart(modules, folder, limitMs);
  }

  test('a module that hangs, blocks or crashes does not keep the ones after it from being imported', async () => {
    const results = await importApart(1_000, {
      hangs: 'setInterval(() => {}, 1_000); await new Promise(() => {});',
      blocks: 'for (;;);',
      crashes:
        "process.stdout.write('licences: 0\\n'); process.stderr.write('out of licences\\n'); process.kill(process.pid, 'SIGABRT');",
      works: 'export default () => {};',
    });
    expect(results).toMatchObject([
      { ok: false, message: 'its import did not end within 1 s. Move the waiting into a function.' },
      { ok: false, message: 'its import did not end within 1 s. Move the waiting into a function.' },
      {
        ok: false,
        message: expect.stringMatching(/ by SIGABRT, which an import must not do\. It wrote: licences: 0\nout of lic/),
      },
      { ok: true },
    ]);
  });

  test('a process that a module leaves behind, with the pipes of its own, is not waited for', async () => {
    const spawn = "import { spawn } from 'node:child_process'; export default () => {};";
    const leave = `const left = spawn(process.execPath, ['-e', 'setTimeout(() => {}, 20_000)'], { stdio: 'inherit' });`;
    const file = join(folder, 'pid');
    const note = `(await import('node:fs')).writeFileSync(${JSON.stringify(file)}, String(left.pid));`;
    const startedAt = performance.now();
    const results = await importApart(30_000, {
      leaves: `${spawn} ${leave} ${note}`,
      exits: `process.exit(4);`,
      'leaves-and-exits': `${spawn} ${leave} left.unref(); process.exit(5);`,
    });
    expect(performance.now() - startedAt).toBeLessThan(10_000);
    expect(results).toMatchObject([
      { ok: true },
      { ok: false, message: expect.stringContaining('exit code 4') },
      { ok: false, message: expect.stringContaining('exit code 5') },
    ]);
    process.kill(Number(readFileSync(file, 'utf8')));
  });

  test('a module finds no parent to talk to, as in a worker', async () => {
    const results = await importApart(5_000, {
      sends: "process.send?.('ready'); process.send?.({ islet: 'imported' }); export default () => {};",
      works: 'export default () => {};',
    });
    expect(results).toMatchObject([{ ok: true }, { ok: true }]);
  });

  test('wrong syntax has its place, also in a file that the module imports', async () => {
    writeFileSync(join(folder, 'inner.js'), '\n\nexport const a = ;\n');
    const [result] = await importApart(5_000, { outer: "import './inner.js';" });
    expect(result).toMatchObject({ ok: false, message: "it could not be imported: Unexpected token ';'" });
    const { findSourceLine } = await import('../../src/tools/check/source-line.ts');
    expect(findSourceLine(folder, join(folder, 'outer.mjs'), result as FailedImport)).toEqual({
      file: 'inner.js',
      line: 3,
    });
  });
});

test('leaves no process behind, when it is killed', async () => {
  const app = await openTempApp(async (root) => {
    await mkdir(join(root, 'queues/mail'), { recursive: true });
    await mkdir(join(root, 'config'));
    writeFileSync(join(root, 'package.json'), '{ "type": "module" }');
    writeFileSync(join(root, 'queues/mail/manifest.js'), hangingManifest);
    writeFileSync(join(root, 'config/index.js'), 'export default {};');
  });
  const run = startIslet(['check'], { cwd: app.root, env: { NODE_ENV: 'development' } });
  const pid = await vi.waitFor(() => Number(readFileSync(join(app.root, 'pid'), 'utf8')), { timeout: 10_000 });
  expect(isAlive(pid)).toBe(true);
  run.kill('SIGKILL');
  await vi.waitFor(() => expect(isAlive(pid)).toBe(false), { timeout: 5_000 });
  await app.close();
});

const hangingManifest = `
import { renameSync, writeFileSync } from 'node:fs';
writeFileSync('pid.new', String(process.pid));
renameSync('pid.new', 'pid');
setInterval(() => {}, 1_000);
await new Promise(() => {});
`;

function isAlive(pid: number): boolean {
  try {
    return process.kill(pid, 0);
  } catch {
    return false;
  }
}
