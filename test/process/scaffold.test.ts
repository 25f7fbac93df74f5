import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test, vi } from 'vitest';
import { killAll, within } from '../support/islet-process.ts';
import { createNewApp, type NewApp, runIslet } from '../support/new-app.ts';
import { openRedisPlace, type RedisPlace } from '../support/redis-place.ts';

let app: NewApp;
let place: RedisPlace;

beforeAll(async () => {
  app = await createNewApp();
  place = openRedisPlace();
});

afterAll(async () => {
  await app.close();
  await place.close();
});

afterEach(killAll);

const read = (path: string) => readFile(join(app.root, path), 'utf8');

describe('islet init', () => {
  let parent: string;

  beforeEach(async () => {
    parent = await mkdtemp(join(tmpdir(), 'islet-init-'));
  });

  afterEach(() => rm(parent, { recursive: true }));

  test('lists what it wrote, and the next commands', async () => {
    const { code, stdout } = await runIslet(['init', 'My Workers'], parent);
    expect(code).toBe(0);
    const files = (await readdir(join(parent, 'My Workers'), { recursive: true, withFileTypes: true })).filter(
      (entry) => entry.isFile(),
    );
    const [list = '', next = ''] = stdout.split('\n\nNext:\n');
    expect(list.split('\n').slice(1)).toHaveLength(files.length);
    expect(list).toMatch(/^Made an app in My Workers:\n {2}\.dockerignore\n/);
    expect(next.split('\n').slice(0, 3)).toEqual([
      expect.stringMatching(/^ {2}mv islet-[\d.]+\.tgz 'My Workers'$/),
      `  cd 'My Workers'`,
      expect.stringMatching(/^ {2}npm install \.\/islet-[\d.]+\.tgz /),
    ]);
    expect(JSON.parse(await readFile(join(parent, 'My Workers/package.json'), 'utf8')).name).toBe('my-workers');
    expect(await readdir(parent)).toEqual(['My Workers']);
  });

  test('writes nothing into a folder that has something in it', async () => {
    await writeFile(join(parent, 'mine.txt'), 'mine');
    expect(await runIslet(['init', '.'], parent)).toEqual({
      code: 1,
      stdout: '',
      stderr:
        `E_FOLDER_NOT_EMPTY: "${parent}" is not empty: it has "mine.txt". Nothing was written. ` +
        'Name a new folder: islet init my-workers.\n',
    });
    expect(await readdir(parent)).toEqual(['mine.txt']);
    expect((await runIslet(['init', 'mine.txt'], parent)).stderr).toContain('is a file. Nothing was written.');
  });

  test.each(['new-app', '.'])(
    'makes one app of %s, and refuses the others, when several do so at once',
    async (folder) => {
      const ends = await Promise.all(Array.from({ length: 4 }, () => runIslet(['init', folder], parent)));
      expect(ends.map(({ code }) => code).sort()).toEqual([0, 1, 1, 1]);
      for (const { stderr } of ends.filter(({ code }) => code === 1)) expect(stderr).toMatch(/^E_FOLDER_NOT_EMPTY: /);
      const written = ends.find(({ code }) => code === 0)?.stdout.match(/^ {2}\S+$/gm) ?? [];
      const there = await readdir(join(parent, folder), { recursive: true, withFileTypes: true });
      expect(there.filter((entry) => entry.isFile())).toHaveLength(written.length);
      expect((await readdir(parent)).filter((name) => name.startsWith('.islet-init'))).toEqual([]);
    },
  );

  test('fills the current folder, when it only is a new repository', async () => {
    await mkdir(join(parent, '.git'));
    expect((await runIslet(['init', '.'], parent)).code).toBe(0);
    const first = ['.dockerignore', '.env.example', '.git', '.gitignore', 'Dockerfile'];
    expect((await readdir(parent)).sort().slice(0, first.length)).toEqual(first);
  });

  test('asks for a folder', async () => {
    const { code, stderr } = await runIslet(['init'], parent);
    expect({ code, stderr }).toEqual({
      code: 2,
      stderr: 'E_USAGE: Name the folder of the new app: islet init my-workers.\n',
    });
  });

  test('is what other commands name in a folder that is no app', async () => {
    for (const args of [
      ['generate', 'queue', 'mail'],
      ['destroy', 'queue', 'mail'],
      ['worker', '--queue', 'mail'],
    ]) {
      const { code, stderr } = await runIslet(args, parent);
      expect({ code, stderr }).toEqual({
        code: 1,
        stderr:
          `E_APP_NOT_FOUND: ${parent} is not an Islet app: it has no folder "queues". Start in the app's folder, or make a ` +
          'new app: islet init my-workers.\n',
      });
    }
  });

  test('makes an app that is still one when its last queue is gone', async () => {
    const other = await createNewApp();
    try {
      for (const folder of ['queues', 'tasks']) await rm(join(other.root, folder), { recursive: true });
      const args = ['generate', 'task', 'first', '--queue', 'again', '--create-queue'];
      expect(await other.islet(args)).toMatchObject({ code: 0, stderr: '' });
      expect(existsSync(join(other.root, 'queues/again/manifest.ts'))).toBe(true);
    } finally {
      await other.close();
    }
  });

  test('makes an app whose worker runs a job through Redis', async () => {
    const outbox = join(parent, 'outbox');
    const env = { ...place.env, MAIL_FOLDER: outbox };
    const worker = app.start(['worker', '--queue', 'mail'], env);
    await worker.line({ msg: 'Worker ready' }, 20_000);
    const payload = '{"userId":"7","email":"ada@example.com"}';
    const { stdout } = await app.islet(['enqueue', 'send-welcome', payload, '--wait'], env);
    expect(JSON.parse(stdout)).toEqual({ sentTo: 'ada@example.com' });
    expect(JSON.parse(await readFile(join(outbox, 'welcome-7.json'), 'utf8'))).toMatchObject({ to: 'ada@example.com' });
    expect((await worker.stop()).code).toBe(0);
  });
});

describe('islet generate', () => {
  test('says what it wrote, and what comes next', async () => {
    const { stdout } = await app.islet(['generate', 'task', 'send-bill', '--queue', 'billing', '--create-queue']);
    expect(stdout).toBe(
      `Wrote:
  queues/billing/manifest.ts
  queues/billing/dependencies.ts
  tasks/send-bill/manifest.ts
  tasks/send-bill/task.ts
  tasks/send-bill/task.test.ts
Next:
  npm test -- tasks/send-bill
  npm run enqueue -- send-bill '{"id":"1"}'
`,
    );
    const queue = await app.islet(['generate', 'queue', 'reports', '--concurrency', '5']);
    expect(queue.stdout).toContain('  npm run worker -- --queue reports\n');
    expect(await read('queues/reports/manifest.ts')).toContain('  concurrency: 5,\n');
  });

  test('writes into the manifest what was asked for', async () => {
    const flags = ['--delivery', 'at-most-once', '--attempts', '1', '--timeout', '2m', '--rare', '--pool', 'process'];
    await app.islet(['generate', 'task', 'charge-card', '--queue', 'mail', ...flags]);
    const written = (await read('tasks/charge-card/manifest.ts')).split('\n').slice(8, -2);
    expect(written.map((line) => line.trim())).toEqual([
      `delivery: 'at-most-once',`,
      'attempts: 1,',
      'timeoutMs: 120_000,',
      `load: 'on-first-job',`,
      `pool: 'process',`,
    ]);
  });

  test('names no Dependencies that the queue does not export', async () => {
    await mkdir(join(app.root, 'queues/plain'));
    await writeFile(
      join(app.root, 'queues/plain/manifest.ts'),
      `import { defineQueue } from 'islet';\n\nexport default defineQueue({ name: 'plain' });\n`,
    );
    await app.islet(['generate', 'task', 'plain-task', '--queue', 'plain']);
    expect(await read('tasks/plain-task/task.ts')).toContain('async ({ id }, { signal }: TaskContext) => {');
    expect(await read('tasks/plain-task/task.test.ts')).not.toContain('dependencies.ts');
    await app.tool('typescript/bin/tsc', '--noEmit');
    await app.tool('vitest/vitest.mjs', 'run', 'tasks/plain-task');
  });

  test('gives a priority to a task of a queue whose tasks have one', async () => {
    await app.islet(['generate', 'task', 'urgent', '--queue', 'lanes', '--create-queue']);
    const file = join(app.root, 'tasks/urgent/manifest.ts');
    await writeFile(file, (await readFile(file, 'utf8')).replace(`queue: 'lanes',`, `queue: 'lanes',\n  priority: 7,`));
    await app.islet(['generate', 'task', 'not-urgent', '--queue', 'lanes']);
    expect(await read('tasks/not-urgent/manifest.ts')).toContain('  priority: 7,\n');
  });

  const send = ['task', 'send-welcome'];
  test.each<[string, number, string[], string]>([
    [
      'a name that is taken',
      1,
      [...send, '--queue', 'mail'],
      'E_NAME_TAKEN: A new task cannot be called "send-welcome": the folder tasks/send-welcome already exists. Nothing was ' +
        'written. Choose another name, or run "islet destroy task send-welcome".',
    ],
    [
      'an unknown queue',
      2,
      ['task', 'fresh', '--queue', 'mial'],
      'E_QUEUE_UNKNOWN: There is no queue "mial" in this app. Did you mean "mail"? Nothing was written. Give ' +
        '--create-queue to make it too.',
    ],
    [
      'a path',
      2,
      ['task', '../fresh', '--queue', 'mail'],
      'E_NAME_INVALID: "../fresh" cannot be the name of a task: names are lower-case words with hyphens, at most 100 ' +
        'characters. Try "fresh". Nothing was written.',
    ],
    [
      'a wrong name of a new queue',
      2,
      ['task', 'fresh', '--queue', 'Mail Out', '--create-queue'],
      'E_NAME_INVALID: "Mail Out" cannot be the name of a queue: names are lower-case words with hyphens, at most 100 ' +
        'characters. Try "mail-out". Nothing was written.',
    ],
    [
      'nothing',
      2,
      [],
      'E_USAGE: What to generate is missing. Nothing was written. Give it: islet generate task <name> --queue <queue>, ' +
        'or islet generate queue <name>.',
    ],
    [
      'no name of a queue',
      2,
      ['queue'],
      `E_USAGE: The queue's name is missing. Nothing was written. Give it: islet generate queue <name>.`,
    ],
    ['something else', 2, ['tsk'], 'E_USAGE: There is no command "generate tsk". Did you mean "task"?'],
    [
      'more attempts than at-most-once has',
      2,
      ['task', 'fresh', '--queue', 'mail', '--delivery', 'at-most-once', '--attempts', '2'],
      'E_USAGE: --attempts 2 does not go with --delivery at-most-once: such a task has one attempt. Nothing was written.',
    ],
  ])('writes nothing and says why, given %s', async (_, code, args, said) => {
    expect(await app.islet(['generate', ...args])).toEqual({ code, stdout: '', stderr: `${said}\n` });
    expect(existsSync(join(app.root, 'tasks/fresh'))).toBe(false);
  });

  test('says without a terminal what is missing, and which queues there are', async () => {
    const { code, stderr } = await app.islet(['generate', 'task', 'fresh']);
    expect(code).toBe(2);
    expect(stderr).toMatch(
      /^E_USAGE: The queue of task "fresh" is missing\. Queues of this app: .*\bmail\b.* Nothing was/,
    );
    expect(stderr).toContain('Give it: islet generate task fresh --queue <queue>.');
  });

  test('lets one of two win, when both write the same task at once', async () => {
    const args = ['generate', 'task', 'contested', '--queue', 'contested', '--create-queue'];
    const ended = await Promise.all([app.islet(args), app.islet(args)]);
    expect(ended.map(({ code }) => code).sort()).toEqual([0, 1]);
    expect(ended.map(({ stderr }) => stderr).join('')).toMatch(/^E_NAME_TAKEN: .*tasks\/contested already exists/);
  });

  test('writes no task for a queue whose folder has no manifest', async () => {
    await mkdir(join(app.root, 'queues/half'));
    await writeFile(join(app.root, 'queues/half/notes.txt'), 'mine');
    const { code, stderr } = await app.islet(['generate', 'task', 'halved', '--queue', 'half', '--create-queue']);
    await rm(join(app.root, 'queues/half'), { recursive: true });
    expect({ code, stderr }).toEqual({
      code: 1,
      stderr:
        'E_NAME_TAKEN: queues/half exists, but has no manifest. Nothing was written. ' +
        'Add the manifest or remove the folder, and try again.\n',
    });
    expect(await readdir(join(app.root, 'tasks'))).not.toContain('halved');
  });

  test('lets two make the same queue at once', async () => {
    const make = (name: string) => app.islet(['generate', 'task', name, '--queue', 'shared', '--create-queue']);
    const ended = await Promise.all([make('shared-a'), make('shared-b')]);
    expect(ended.map(({ code, stderr }) => ({ code, stderr }))).toEqual(Array(2).fill({ code: 0, stderr: '' }));
    expect((await readdir(join(app.root, 'queues/shared'))).sort()).toEqual(['dependencies.ts', 'manifest.ts']);
  });

  test('knows former names, and works beside broken manifests, which it names', async () => {
    const other = await createNewApp();
    try {
      const file = join(other.root, 'tasks/send-welcome/manifest.ts');
      const whole = await readFile(file, 'utf8');
      await writeFile(file, whole.replace(`queue: 'mail',`, `queue: 'mail',\n  formerNames: ['greet'],`));
      const greet = await other.islet(['generate', 'task', 'greet', '--queue', 'mail']);
      expect(greet).toMatchObject({
        code: 1,
        stderr:
          'E_NAME_TAKEN: A new task cannot be called "greet": it is a former name of task "send-welcome", which runs the ' +
          'jobs that were enqueued under it. Nothing was written. Choose another name, or remove it from `formerNames` ' +
          'in tasks/send-welcome/manifest.ts once no such job is left.\n',
      });
      await writeFile(file, whole.replace(`queue: 'mail'`, 'queue: 3'));
      const fresh = await other.islet(['generate', 'task', 'fresh', '--queue', 'mail']);
      expect(fresh).toMatchObject({
        code: 0,
        stderr:
          'Broken, and left as it is: tasks/send-welcome/manifest.ts: Task "send-welcome" does not parse: `queue`: ' +
          "expected a queue's name (lower-case words with hyphens, at most 100 characters) or a queue's manifest, got 3.\n",
      });
      await writeFile(file, whole.slice(0, -5));
      const last = await other.islet(['generate', 'queue', 'last']);
      expect(last.code).toBe(0);
      expect(last.stderr).toMatch(/^Broken, and left as it is: tasks\/send-welcome\/manifest\.ts: ./);
    } finally {
      await other.close();
    }
  });
});

/** Runs `islet <args>` on a terminal and types each answer once its question stands there. */
async function type(args: string[], answers: [question: string, keys: string][]) {
  const command = `stty cols 200 rows 50; exec ${process.execPath} ${resolve('bin/islet.js')} ${args.join(' ')}`;
  const child = spawn('script', ['-qec', command, '/dev/null'], {
    cwd: app.root,
    stdio: ['pipe', 'pipe', 'inherit'],
  });
  let screen = '';
  child.stdout.setEncoding('utf8').on('data', (data) => {
    screen += data;
  });
  const exited = once(child, 'exit');
  try {
    for (const [question, keys] of answers) {
      await vi.waitFor(() => expect(screen).toContain(question), { timeout: 10_000, interval: 20 });
      screen = screen.slice(screen.indexOf(question) + question.length);
      child.stdin.write(keys);
    }
    const [code] = await within(exited, 10_000, 'islet on a terminal');
    return { code, screen };
  } finally {
    child.kill('SIGKILL');
  }
}

// A terminal is made by the `script` of util-linux, which every Linux has.
describe.runIf(process.platform === 'linux')('on a terminal', () => {
  const down = '\x1b[B';

  test('generate asks for everything', async () => {
    const { code, screen } = await type(
      ['generate'],
      [
        ['What do you want to write?', '\r'],
        ["The task's name?", 'send-welcome\r'],
        ['The folder tasks/send-welcome already exists.', '\x15asked-for\r'],
        ['Which queue runs it?', '\r'],
        ['When its worker dies, a job', `${down}\r`],
      ],
    );
    expect(screen).toContain('tasks/asked-for/task.test.ts');
    expect(code).toBe(0);
    expect(await read('tasks/asked-for/manifest.ts')).toContain(`delivery: 'at-most-once'`);
  });

  test('generate asks only for what is missing', async () => {
    const { code } = await type(['generate', 'queue'], [["The queue's name?", 'asked-queue\r']]);
    expect(code).toBe(0);
    expect(existsSync(join(app.root, 'queues/asked-queue/manifest.ts'))).toBe(true);
  });

  test('generate writes nothing when it is cancelled', async () => {
    const { code, screen } = await type(['generate', 'task', 'cancelled'], [['Which queue runs it?', '\x03']]);
    expect(screen).toContain('Nothing was written.');
    expect(code).toBe(1);
    expect(existsSync(join(app.root, 'tasks/cancelled'))).toBe(false);
  });

  test('destroy asks, and removes only after a yes', async () => {
    await app.islet(['generate', 'task', 'unwanted', '--queue', 'mail']);
    const no = await type(['destroy', 'task', 'unwanted'], [['Remove tasks/unwanted?', '\r']]);
    expect(no).toMatchObject({ code: 1, screen: expect.stringContaining('Nothing was removed.') });
    expect(existsSync(join(app.root, 'tasks/unwanted/task.ts'))).toBe(true);
    const yes = await type(['destroy', 'task', 'unwanted'], [['Remove tasks/unwanted?', 'y']]);
    expect(yes).toMatchObject({ code: 0, screen: expect.stringContaining('Removed tasks/unwanted.') });
    expect(existsSync(join(app.root, 'tasks/unwanted'))).toBe(false);
  });
});

describe('islet destroy', () => {
  const lookedUp = (text: string) => text.split('\n').slice(4).join('\n');

  test('shows what would go, and that jobs of it are in Redis; removes it with --yes', async () => {
    await app.islet(['generate', 'task', 'doomed', '--queue', 'mail']);
    const jobs = Array.from({ length: 3 }, (_, index) => ({ name: index < 2 ? 'doomed' : 'other', data: {} }));
    await place.queue('mail').addBulk([...jobs, { name: 'doomed', data: {}, opts: { delay: 60_000 } }]);
    const shown = await app.islet(['destroy', 'task', 'doomed'], place.env);
    expect(shown).toEqual({
      code: 2,
      stdout: `Would remove tasks/doomed:
  manifest.ts
  task.test.ts
  task.ts
Jobs of this task seen in Redis: 2 waiting, 1 delayed. Looked at 4 of the 4 in queue "mail".
Its jobs would wait for a worker that knows it, and then fail with E_TASK_UNKNOWN.
To rename it instead: rename its folder and its \`name\`, and add formerNames: ['doomed'] to its manifest.
`,
      stderr: 'E_USAGE: There is no terminal to ask on. Nothing was removed. Give --yes to remove it.\n',
    });
    expect(existsSync(join(app.root, 'tasks/doomed/task.ts'))).toBe(true);
    const removed = await app.islet(['destroy', 'task', 'doomed', '--yes'], place.env);
    expect(removed.code).toBe(0);
    expect(removed.stdout).toMatch(/\nRemoved tasks\/doomed\.\n$/);
    expect(existsSync(join(app.root, 'tasks/doomed'))).toBe(false);
  });

  test('looks at a bounded sample of a long queue', async () => {
    await app.islet(['generate', 'queue', 'long']);
    await place.queue('long').addBulk(Array.from({ length: 1_000 }, () => ({ name: 'x', data: {} })));
    const { stdout } = await app.islet(['destroy', 'queue', 'long'], place.env);
    expect(stdout).toContain('Jobs seen in Redis: 200 waiting. Looked at 200 of the 1000 in queue "long".\n');
    expect(stdout).toContain('They would stay in Redis, and no worker would take them.\n');
  });

  test('points to the task that has the new name, when there is one', async () => {
    await app.islet(['generate', 'task', 'send-report', '--queue', 'mail']);
    await app.islet(['generate', 'task', 'send-reports', '--queue', 'mail']);
    const { stdout } = await app.islet(['destroy', 'task', 'send-report']);
    expect(lookedUp(stdout)).toContain(
      `If it is called "send-reports" now: add formerNames: ['send-report'] to tasks/send-reports/manifest.ts, which ` +
        'then runs its old jobs.\n',
    );
  });

  test.each([
    ['none is configured', {}, 'No Redis is configured.'],
    ['it cannot be reached', { REDIS_URL: 'redis://:hidden@127.0.0.1:1' }, 'could not be reached'],
  ])('says so and goes on, when Redis cannot be asked: %s', async (_, env, said) => {
    await app.islet(['generate', 'queue', 'unasked']);
    const { code, stdout } = await app.islet(['destroy', 'queue', 'unasked', '--yes'], env);
    expect(stdout).toContain('It is not known whether Redis has jobs of it: ');
    expect(stdout).toContain(said);
    expect(stdout).not.toContain('hidden');
    expect({ code, isThere: existsSync(join(app.root, 'queues/unasked')) }).toEqual({ code: 0, isThere: false });
  });

  test('refuses a queue that still has tasks, and names them', async () => {
    await app.islet(['generate', 'task', 'last-one', '--queue', 'inhabited', '--create-queue']);
    expect(await app.islet(['destroy', 'queue', 'inhabited', '--yes'])).toEqual({
      code: 1,
      stdout: '',
      stderr:
        'E_QUEUE_IN_USE: Queue "inhabited" still has tasks: "last-one". Nothing was removed. Remove them first, or name ' +
        'another queue in their manifests.\n',
    });
  });

  test.each<[string, string[], RegExp]>([
    [
      'an unknown task',
      ['task', 'send-welcom', '--yes'],
      /^E_TASK_UNKNOWN: .*"send-welcom".*mean "send-welcome"\? Nothing/,
    ],
    ['an unknown queue', ['queue', 'mial', '--yes'], /^E_QUEUE_UNKNOWN: .*"mial".*mean "mail"\? Nothing was removed/],
    ['a path', ['task', '../config', '--yes'], /^E_TASK_UNKNOWN: .*"\.\.\/config"/],
    ['no name', ['task'], /^E_USAGE: Name the task: islet destroy task <name>\./],
    ['nothing', [], /^E_USAGE: Name what to remove/],
  ])('exits with 2 and says why, given %s', async (_, args, said) => {
    const { code, stderr } = await app.islet(['destroy', ...args]);
    expect(stderr).toMatch(said);
    expect(code).toBe(2);
    expect(existsSync(join(app.root, 'config/index.ts'))).toBe(true);
  });
});
