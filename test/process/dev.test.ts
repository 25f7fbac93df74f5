import { existsSync, readdirSync, readlinkSync } from 'node:fs';
import { cp, mkdir, readFile, rename, rm, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import type { defineTask } from '../../src/index.ts';
import { createProducer, type Producer, type ResultHandle } from '../../src/producer.ts';
import { type IsletProcess, killAll, repository, startIslet } from '../support/islet-process.ts';
import { createNewApp, type NewApp } from '../support/new-app.ts';
import { openRedisPlace, type RedisPlace } from '../support/redis-place.ts';

// The compiler and three workers start again and again, while other tests run on the machine.
vi.setConfig({ testTimeout: 90_000 });

let app: NewApp;
let place: RedisPlace;
let producer: Producer;

beforeEach(async () => {
  app = await createNewApp();
  place = openRedisPlace();
  producer = createProducer({ redis: place.url, prefix: place.prefix });
});

afterEach(async () => {
  await killAll();
  await producer.close();
  await place.close();
  await app.close();
});

const env = () => ({ ...place.env, NODE_ENV: 'development', NODE_OPTIONS: undefined });

/** Counts how often something was said. */
const count = (text: string, part: string) => text.split(part).length - 1;
const until = <T>(check: () => T | Promise<T>, timeout = 30_000) => vi.waitFor(check, { timeout, interval: 20 });

async function startDev(...flags: string[]): Promise<IsletProcess> {
  const dev = startIslet(['dev', ...flags], { cwd: app.root, env: env() });
  await untilReady(dev, 1);
  return dev;
}

const untilReady = (dev: IsletProcess, times: number) =>
  until(() => expect(count(dev.stderr(), 'Ready in'), dev.stdout() + dev.stderr()).toBe(times));

/** Enqueues a job of the task that came with the app; its manifest is the app's, compiled where this Node needs that. */
async function enqueue(userId: string) {
  const compiled = join(app.root, 'dist/tasks/send-welcome/manifest.js');
  const file = existsSync(compiled) ? compiled : join(app.root, 'tasks/send-welcome/manifest.ts');
  const { default: manifest } = (await import(file)) as { default: ReturnType<typeof defineTask> };
  const payload = { userId, email: 'ada@example.com' } as never;
  const handle = await producer.enqueue(manifest, payload, { keepResultMs: 60_000 } as never);
  return handle as unknown as ResultHandle<{ sentTo: string }>;
}

async function resultOf(userId: string): Promise<unknown> {
  return (await (await enqueue(userId)).result()).sentTo;
}

/** Saves the task so that it returns this. */
async function saveTask(sentTo: string): Promise<void> {
  const file = 'tasks/send-welcome/task.ts';
  const text = await readFile(join(app.root, file), 'utf8');
  await app.write(file, text.replace(/return .*;/, `return { sentTo: ${sentTo} };`));
}

/** Lists the processes that run in the app's folder. */
function processesIn(folder: string): string[] {
  return readdirSync('/proc').filter((pid) => {
    try {
      return /^\d+$/.test(pid) && readlinkSync(`/proc/${pid}/cwd`) === folder;
    } catch {
      return false;
    }
  });
}

test('runs all queues with readable logs, and ends with all its processes on SIGINT', async () => {
  const dev = await startDev();
  expect(await resultOf('1')).toBe('ada@example.com');
  await until(() => expect(dev.stdout()).toMatch(/^\[\d\d:\d\d:\d\d\] INFO: send-welcome completed in \d+ ms \(job /m));
  dev.kill('SIGINT');
  expect(await dev.exited).toEqual({ code: 0, signal: null });
  await until(() => expect(processesIn(app.root)).toEqual([]));
});

describe('when a file is saved', () => {
  test('the new code runs; what does not compile is shown, and the old code goes on', async () => {
    const dev = await startDev();
    await saveTask("'new'");
    await untilReady(dev, 2);
    expect(await resultOf('2')).toBe('new');

    await saveTask('5 + ');
    await until(() => expect(dev.stderr()).toMatch(/tasks\/send-welcome\/task\.ts\(\d+,\d+\): error TS1109/));
    expect(dev.stderr()).toContain('Not compiled. The previous code keeps running.');
    expect(await resultOf('3')).toBe('new');

    await saveTask("'mended'");
    await untilReady(dev, 3);
    expect(await resultOf('4')).toBe('mended');
  });

  test('it takes a moment, since the next worker has loaded the framework by then', async () => {
    const dev = await startDev();
    const took: number[] = [];
    for (let save = 1; save <= 5; save += 1) {
      // A save before the next worker is ready would measure how that worker starts.
      await until(() => expect(processesIn(app.root).length).toBeGreaterThan(4));
      const savedAt = performance.now();
      await saveTask(`'save ${save}'`);
      await untilReady(dev, save + 1);
      took.push(performance.now() - savedAt);
    }
    const [, , median = 0] = took.sort((a, b) => a - b);
    console.log(`islet dev: new code ran ${Math.round(median)} ms after a save (median of 5)`);
    // On an idle machine this takes 0.2 s; here every other test may run at the same time.
    expect(median).toBeLessThan(10_000);
  });

  test('code that cannot start is told of, and the old code goes on', async () => {
    const dev = await startDev();
    const file = 'tasks/send-welcome/task.ts';
    const text = await readFile(join(app.root, file), 'utf8');
    await app.write(file, `${text}\nthrow new Error('no licence');\n`);
    await until(() => expect(dev.stderr()).toContain('The worker could not start. The previous code keeps running.'));
    expect(dev.stderr()).toContain('E_TASK_LOAD_FAILED');
    expect(await resultOf('5')).toBe('ada@example.com');
    await app.write(file, text);
    await untilReady(dev, 2);
  });

  test('no job is lost, and none that completed runs again', async () => {
    const dev = await startDev();
    const file = 'tasks/send-welcome/task.ts';
    const text = await readFile(join(app.root, file), 'utf8');
    const slow = text.replace('  return ', '  await new Promise((resolve) => setTimeout(resolve, 30));\n  return ');
    const ids: string[] = [];
    for (let round = 1; round <= 4; round += 1) {
      for (let index = 0; index < 50; index += 1) ids.push((await enqueue(`${round}-${index}`)).id);
      await app.write(file, `${slow}\n// ${round}\n`);
      await untilReady(dev, round + 1);
    }
    const isDone = (id: string) => count(dev.stdout(), `ms (job ${id})`);
    await until(() => expect(ids.filter((id) => isDone(id) === 0)).toEqual([]));
    expect(ids.filter((id) => isDone(id) > 1)).toEqual([]);
    const outbox = await readFile(join(app.root, '.islet/outbox/welcome-4-49.json'), 'utf8');
    expect(JSON.parse(outbox)).toMatchObject({ to: 'ada@example.com' });
  });

  test('settings that are wrong are told of, and it goes on when they are mended', async () => {
    await app.write('config/development.json', '{ "log": { "level": "louder" } }');
    const dev = startIslet(['dev'], { cwd: app.root, env: env() });
    await until(() => expect(dev.stderr()).toContain('The worker could not start. Save a file to try again.'));
    expect(dev.stderr()).toContain('E_CONFIG_INVALID');
    await app.write('config/development.json', '{}');
    await untilReady(dev, 1);
  });

  test('of a linked package or of lib/, it is new code as well, and what is compiled is recorded', async () => {
    const shared = join(app.root, '../shared');
    await mkdir(shared);
    await writeFile(join(shared, 'package.json'), '{ "name": "shared", "type": "module", "exports": "./index.js" }');
    await writeFile(join(shared, 'index.d.ts'), 'export declare const to: string;');
    await writeFile(join(shared, 'index.js'), "export const to = 'one';");
    await symlink(shared, join(app.root, 'node_modules/shared'));
    await app.write('lib/names.ts', "export const name = 'a';\n");
    const file = 'tasks/send-welcome/task.ts';
    const imports = "import { to } from 'shared';\nimport { name } from '../../lib/names.ts';\n";
    await app.write(file, imports + (await readFile(join(app.root, file), 'utf8')));
    await saveTask("[to, name].join(' ')");
    const dev = await startDev();
    expect(await resultOf('11')).toBe('one a');
    await writeFile(join(shared, 'index.js'), "export const to = 'two';");
    await untilReady(dev, 2);
    expect(await resultOf('12')).toBe('two a');
    await app.write('lib/names.ts', "export const name = 'b';\n");
    await untilReady(dev, 3);
    expect(await resultOf('13')).toBe('two b');
    await dev.stop();
    const checked = await app.islet(['check'], { NODE_ENV: 'production' });
    expect(checked.stderr).toBe('');
  });

  test('settings, new tasks and removed ones are picked up', async () => {
    const dev = await startDev();
    await app.write('config/development.json', '{ "log": { "level": "debug" }, "worker": { "maxReleases": 3 } }');
    await untilReady(dev, 2);
    const generated = startIslet(['generate', 'task', 'send-invoice', '--queue', 'mail'], {
      cwd: app.root,
      env: env(),
    });
    expect((await generated.exited).code).toBe(0);
    await until(() => expect(dev.stdout()).toContain('"tasks":["send-invoice","send-welcome"]'));
    await rm(join(app.root, 'tasks/send-invoice'), { recursive: true });
    const before = count(dev.stderr(), 'Ready in');
    await saveTask("'without it'");
    await until(() => expect(count(dev.stderr(), 'Ready in')).toBeGreaterThan(before));
    await until(() =>
      expect(dev.stdout().slice(dev.stdout().lastIndexOf('Worker ready'))).not.toContain('send-invoice'),
    );
  });
});

test('a worker that crashes is started again', async () => {
  const dev = await startDev();
  await saveTask("email === '' ? '' : (process.abort(), '')");
  await untilReady(dev, 2);
  await enqueue('6');
  await until(() => expect(dev.stderr()).toMatch(/The worker ended with SIG\w+\. It is started again\./));
  await saveTask("'calm'");
  await until(() => expect(dev.stdout()).toMatch(/send-welcome completed/));
});

test('goes on when its only queue is gone at the moment in which a crashed worker is started again', async () => {
  const dev = await startDev('--queue', 'mail');
  await saveTask("email === '' ? '' : (process.abort(), '')");
  await untilReady(dev, 2);
  await enqueue('10');
  await until(() => expect(dev.stderr()).toContain('It is started again.'));
  const [queue, away] = [join(app.root, 'queues/mail'), join(app.root, 'mail.away')];
  await rename(queue, away);
  await until(() => expect(dev.stderr()).toContain('There is no queue "mail" in this app.'));
  await rename(away, queue);
  await saveTask("'back'");
  await untilReady(dev, 3);
});

/** Saves a task that never ends its import, and returns the id of the process that imports it. */
async function importFor(ever: 'waits' | 'computes'): Promise<number> {
  const file = 'tasks/send-welcome/task.ts';
  const mark = join(app.root, `${ever}.pid`);
  const endless = {
    waits: 'setInterval(() => {}, 1_000);\nawait new Promise(() => {});\n',
    computes: 'for (let turns = 0; turns >= 0; turns += 1);\n',
  };
  const head = `import { renameSync, writeFileSync } from 'node:fs';\n`;
  const body = `writeFileSync('mark', String(process.pid));\nrenameSync('mark', '${mark}');\n${endless[ever]}`;
  await app.write(file, `${head}${await readFile(join(app.root, file), 'utf8')}\n${body}`);
  return until(async () => Number(await readFile(mark, 'utf8')));
}

describe('a start that never ends', () => {
  test('is told of, with its queue, and given up at the next save', async () => {
    const dev = await startDev();
    const task = await readFile(join(app.root, 'tasks/send-welcome/task.ts'), 'utf8');
    await importFor('waits');
    const said =
      /The worker is still starting after 5 s: it loads the code of queue "mail"\. The previous code keeps running\./;
    await until(() => expect(dev.stderr()).toMatch(said));
    expect(await resultOf('7')).toBe('ada@example.com');
    await app.write('tasks/send-welcome/task.ts', task);
    await saveTask("'after it'");
    await untilReady(dev, 2);
    expect(await resultOf('8')).toBe('after it');
  });

  test('leaves no process, also when it computes', async () => {
    const dev = await startDev();
    const task = await readFile(join(app.root, 'tasks/send-welcome/task.ts'), 'utf8');
    const busy = await importFor('computes');
    await app.write('tasks/send-welcome/task.ts', task);
    await untilReady(dev, 2);
    await until(() => expect(processesIn(app.root)).not.toContain(String(busy)));
  });

  test('does not keep it from its end, when it is asked for that a second time', async () => {
    const dev = await startDev();
    await importFor('computes');
    const askedAt = performance.now();
    dev.kill('SIGINT');
    let ended: unknown;
    void dev.exited.then((exit) => {
      ended = exit;
    });
    // A signal within a second counts as the same Ctrl-C.
    await vi.waitFor(
      () => {
        dev.kill('SIGINT');
        expect(ended).toEqual({ code: 1, signal: null });
      },
      { timeout: 20_000, interval: 300 },
    );
    expect(performance.now() - askedAt).toBeLessThan(5_000);
    await until(() => expect(processesIn(app.root)).toEqual([]));
  });

  test('ends with the process, when it failed but something that it has opened goes on', async () => {
    const file = 'tasks/send-welcome/task.ts';
    const text = await readFile(join(app.root, file), 'utf8');
    await app.write(file, `${text}\nsetInterval(() => {}, 1_000);\nthrow new Error('no licence');\n`);
    const dev = startIslet(['dev'], { cwd: app.root, env: env() });
    await until(() => expect(dev.stderr()).toContain('The worker could not start. Save a file to try again.'));
    // These are the command, the compiler and what runs that; no worker waits for code that cannot start.
    await until(() => expect(processesIn(app.root).length).toBe(3));
  });
});

describe('leaves no process behind when it is killed', () => {
  const untilAllEnded = () => until(() => expect(processesIn(app.root)).toEqual([]));

  test('while a worker runs', async () => {
    const dev = await startDev();
    expect(processesIn(app.root).length).toBeGreaterThan(3);
    dev.kill('SIGKILL');
    await dev.exited;
    await untilAllEnded();
  });

  test('while a worker starts', async () => {
    const begin = "(await import('node:fs')).writeFileSync('begun', '');";
    const slow = `${begin}\nawait new Promise((resolve) => setTimeout(resolve, 2_000));`;
    const file = 'queues/mail/dependencies.ts';
    await app.write(file, `${slow}\n${await readFile(join(app.root, file), 'utf8')}`);
    const dev = startIslet(['dev'], { cwd: app.root, env: env() });
    await until(() => expect(processesIn(app.root).length).toBeGreaterThan(3));
    await until(() => expect(existsSync(join(app.root, 'begun'))).toBe(true));
    dev.kill('SIGKILL');
    await untilAllEnded();
  });

  test.each([1, 2, 3, 4, 5])('when it has %i processes, itself included', async (processes) => {
    const dev = startIslet(['dev'], { cwd: app.root, env: env() });
    await vi.waitFor(() => expect(processesIn(app.root).length).toBeGreaterThanOrEqual(processes), {
      timeout: 20_000,
      interval: 1,
    });
    dev.kill('SIGKILL');
    await untilAllEnded();
  });

  test('while an import computes for ever', async () => {
    const dev = await startDev();
    await importFor('computes');
    dev.kill('SIGKILL');
    await untilAllEnded();
  });

  test('while a job computes for ever', async () => {
    const dev = await startDev();
    const text = "import { writeFileSync } from 'node:fs';\n";
    const file = 'tasks/send-welcome/task.ts';
    await app.write(file, text + (await readFile(join(app.root, file), 'utf8')));
    await saveTask("(writeFileSync('computes', ''), (() => { for (;;); })())");
    await untilReady(dev, 2);
    await enqueue('9');
    await until(() => expect(existsSync(join(app.root, 'computes'))).toBe(true));
    dev.kill('SIGKILL');
    await untilAllEnded();
  });
});

test('runs a framework that was compiled anew, also in the worker that was made in advance', async () => {
  const islet = join(app.root, '../islet');
  for (const part of ['bin', 'dist/src', 'package.json']) {
    await cp(join(repository, part), join(islet, part), { recursive: true });
  }
  await symlink(join(repository, 'node_modules'), join(islet, 'node_modules'));
  await rm(join(app.root, 'node_modules/islet'));
  await symlink(islet, join(app.root, 'node_modules/islet'));
  // Each process that has loaded the framework writes a line.
  const [loaded, line] = [join(app.root, 'loaded'), join(islet, 'dist/src/cli/parent-line.js')];
  const tell = `import { appendFileSync } from 'node:fs';\nappendFileSync('${loaded}', 'one\\n');\n`;
  await writeFile(line, tell + (await readFile(line, 'utf8')));
  const command: [string, string] = [process.execPath, join(islet, 'bin/islet.js')];
  const dev = startIslet(['dev'], { cwd: app.root, env: env(), command });
  await untilReady(dev, 1);
  await until(async () => expect(await readFile(loaded, 'utf8')).toBe('one\none\n'));
  const program = join(islet, 'dist/src/cli/run-worker.js');
  await writeFile(program, (await readFile(program, 'utf8')).replace("'Worker ready'", "'Worker of new code ready'"));
  await saveTask("'new'");
  const ready = () => dev.stdout().match(/Worker (of new code )?ready/g);
  await until(() => expect(ready()?.slice(0, 2)).toEqual(['Worker ready', 'Worker of new code ready']));
});

test('starts with code that does not compile, and runs it when it is mended', async () => {
  await app.write('tasks/send-welcome/task.ts', 'export default 5 +;\n');
  const dev = startIslet(['dev'], { cwd: app.root, env: env() });
  await until(() => expect(dev.stderr()).toContain('Not compiled'));
  await app.write(
    'tasks/send-welcome/task.ts',
    "import { implement } from 'islet/task';\nimport manifest from './manifest.ts';\n\nexport default implement(manifest, async ({ email }) => ({ sentTo: email }));\n",
  );
  await untilReady(dev, 1);
});

test('refuses a queue that is not there, and a folder that is no app', async () => {
  const unknown = startIslet(['dev', '--queue', 'mial'], { cwd: app.root, env: env() });
  expect((await unknown.exited).code).toBe(2);
  expect(unknown.stderr()).toBe('E_QUEUE_UNKNOWN: There is no queue "mial" in this app. Did you mean "mail"?\n');
  const empty = join(app.root, 'empty');
  await mkdir(empty);
  const nowhere = startIslet(['dev'], { cwd: empty, env: env() });
  expect((await nowhere.exited).code).toBe(1);
  expect(nowhere.stderr()).toMatch(/^E_APP_NOT_FOUND/);
});
