import { writeFileSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { pathToFileURL } from 'node:url';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
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
  queue?: string;
  file?: string;
  line?: number;
  message: string;
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
      const place = problem.line === undefined ? problem.file : `${problem.file}:${problem.line}`;
      return [problem.code, problem.queue ?? '', place ?? '', problem.message];
    });
    expect(found.sort((a, b) => a.join().localeCompare(b.join()))).toEqual([
      [
        'E_CATALOG_INVALID',
        '',
        'tasks/lost/manifest.ts:5',
        'Task "lost" names a queue "dyin" that is not there. Did you mean "dying"?',
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
        'E_CONFIG_INVALID',
        '',
        'config/index.ts:3',
        'config/index.ts: `redis.url`: expected a redis:// or rediss:// URL',
      ],
      ['E_DEPENDENCIES_FAILED', 'dying', 'queues/dying/dependencies.ts:2', 'no connection without a licence'],
      [
        'E_HOOKS_FAILED',
        'dying',
        'queues/dying/hooks.ts',
        'queues/dying/hooks.ts: it must export a function by default.',
      ],
      [
        'E_MANIFEST_INVALID',
        '',
        'tasks/broken/manifest.ts:4',
        'Task "broken" does not parse: `attempts`: expected an integer from 1 to 1000, got 0.',
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
      [
        'E_TASK_LOAD_FAILED',
        'dying',
        'tasks/exits/task.ts',
        'tasks/exits/task.ts: its import ended the process with exit code 3.',
      ],
      [
        'E_TASK_LOAD_FAILED',
        'dying',
        'tasks/needs/task.ts:3',
        "Cannot find package 'no-such-package' imported from tasks/needs/task.ts",
      ],
      ['E_TASK_LOAD_FAILED', 'dying', 'tasks/no-code/task.ts', 'tasks/no-code/task.ts: it is not there.'],
      ['E_TASK_LOAD_FAILED', 'dying', 'tasks/throws/task.ts:4', 'not on this machine'],
      [
        'E_TASK_LOAD_FAILED',
        'dying',
        'tasks/wrong-manifest/task.ts',
        'tasks/wrong-manifest/task.ts: it implements the manifest of "send-mail". Import its own manifest.',
      ],
    ]);
    expect(report.ok).toBe(false);
    expect(code).toBe(1);
  });

  test('shows the same to people, and where it is', async () => {
    const { code, stdout } = await check(app.root);
    expect(stdout).toMatch(/^queue +tasks +imports\n/);
    expect(stdout).toMatch(/^dying +7 +\d+ ms +7 problems$/m);
    expect(stdout).toContain('\nE_DEPENDENCIES_FAILED queues/dying/dependencies.ts:2\n');
    expect(stdout).toMatch(/\n3 queues, 9 tasks: 14 problems\n$/);
    expect(code).toBe(1);
  });

  test('checks the code of one queue, where that is asked for', async () => {
    const { stdout } = await check(app.root, '--json', '--queue', 'mixed');
    const report = JSON.parse(stdout) as { queues: { queue: string }[]; problems: Problem[] };
    expect(report.queues.map(({ queue }) => queue)).toEqual(['mixed']);
    expect(report.problems.filter(({ code }) => code === 'E_TASK_LOAD_FAILED')).toEqual([]);
  });
});

test('refuses a queue that is not there, and a folder that is no app', async () => {
  const unknown = await check(repository, '--queue', 'imagse');
  expect(unknown.stderr).toBe('E_QUEUE_UNKNOWN: There is no queue "imagse" in this app. Did you mean "images"?\n');
  expect(unknown.code).toBe(2);
  const nowhere = await check(tmpdir());
  expect(nowhere.stderr).toMatch(/^E_APP_NOT_FOUND: .* make a new app: npx islet init my-workers\.\n$/);
  expect(nowhere.code).toBe(1);
});

test('goes on after a module whose import hangs, and one that crashes', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'islet-check-'));
  const write = (name: string, text: string) => {
    writeFileSync(join(folder, `${name}.mjs`), text);
    return { file: join(folder, `${name}.mjs`), name, exports: 'function' };
  };
  const modules = [
    write('hangs', 'setInterval(() => {}, 1_000); await new Promise(() => {});'),
    write('crashes', "process.stderr.write('out of licences\\n'); process.abort();"),
    write('works', 'export default () => {};'),
  ];
  const { importApart } = await import(pathToFileURL(resolve('dist/src/check/import-apart.js')).href);
  expect(await importApart(modules, folder, 1_000)).toMatchObject([
    { ok: false, message: 'its import did not end within 1 s' },
    {
      ok: false,
      message: expect.stringMatching(/^its import ended the process by SIGABRT. It wrote: out of licences/),
    },
    { ok: true },
  ]);
  await rm(folder, { recursive: true });
});
