import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import type { FootprintReport } from '../../src/tools/check/footprint.ts';
import { isletPackages } from '../../src/tools/check/package-of.ts';
import { killAll, startIslet } from '../support/islet-process.ts';
import { openTempApp, type TempApp } from '../support/temp-app.ts';

afterEach(killAll);

const settings = `
const { Redis } = { Redis: undefined };
export default { redis: { url: 'redis://127.0.0.1:1', prefix: 'x' }, log: { level: 'silent' }, Redis };
`;

const queueManifest = (name: string, options = '') =>
  `import { defineQueue } from 'islet';\n\nexport default defineQueue({\n  name: '${name}',\n  ${options}\n});\n`;

const taskManifest = (name: string, queue: string, options = '') => `
import { defineTask } from 'islet';
const schema = { '~standard': { version: 1, vendor: 'none', validate: (value) => ({ value }) } };
export default defineTask({ name: '${name}', queue: '${queue}', payload: schema, ${options} });
`;

const task = (imports: string) => `
import { implement } from 'islet/task';
import manifest from './manifest.js';
${imports}
export default implement(manifest, () => null);
`;

/** Writes packages of both kinds: an ES module whose CommonJS import requires more, and one that fills memory. */
const packages: Record<string, string> = {
  'esm-lib/package.json':
    '{ "name": "esm-lib", "type": "module", "exports": "./main.js", "dependencies": { "cjs-lib": "1" } }',
  'esm-lib/main.js': "export { default } from './inner.js';",
  'esm-lib/inner.js': "import inner from 'cjs-lib'; export default inner;",
  'cjs-lib/package.json': '{ "name": "cjs-lib", "main": "main.cjs", "dependencies": { "@deep/one": "1" } }',
  'cjs-lib/main.cjs': "module.exports = require('./inner.cjs');",
  'cjs-lib/inner.cjs': "module.exports = require('@deep/one');",
  '@deep/one/package.json': '{ "name": "@deep/one" }',
  '@deep/one/index.js': 'module.exports = { one: 1 };',
  'fat-lib/package.json': '{ "name": "fat-lib" }',
  'fat-lib/index.js': 'module.exports = Buffer.alloc(80 * 1_048_576, 1);',
};

/** Writes two queues: a file of `mail`'s task imports esm-lib, and the dependencies of `reports` import fat-lib. */
async function openApp(): Promise<TempApp> {
  const app = await openTempApp(async () => {});
  const files: Record<string, string> = {
    'package.json': '{ "type": "module" }',
    'config/index.js': settings,
    'queues/mail/manifest.js': queueManifest('mail'),
    'tasks/send-mail/manifest.js': taskManifest('send-mail', 'mail'),
    'tasks/send-mail/task.js': task("import './format.js';"),
    'tasks/send-mail/format.js': "import 'node:path';\nimport lib from 'esm-lib';\nexport default lib;",
    'tasks/count-mails/manifest.js': taskManifest('count-mails', 'mail'),
    'tasks/count-mails/task.js': task(''),
    'queues/reports/manifest.js': queueManifest('reports'),
    'queues/reports/dependencies.js':
      "import { createRequire } from 'node:module';\nexport const fat = createRequire(import.meta.url)('fat-lib');\nexport default () => ({});",
    'tasks/write-report/manifest.js': taskManifest('write-report', 'reports'),
    'tasks/write-report/task.js': task(''),
  };
  for (const [file, text] of Object.entries(packages)) files[`node_modules/${file}`] = text;
  for (const [file, text] of Object.entries(files)) await app.write(file, text);
  return app;
}

async function run(cwd: string, ...args: string[]) {
  const process = startIslet(args, { cwd, env: { NODE_ENV: 'development' } });
  const { code } = await process.exited;
  return { code, stdout: process.stdout(), stderr: process.stderr() };
}

let app: TempApp;
let report: FootprintReport;

beforeAll(async () => {
  app = await openApp();
});

afterAll(() => app.close());

describe('islet footprint', () => {
  beforeAll(async () => {
    const { stdout, stderr } = await run(app.root, 'footprint', '--json');
    expect(stderr).toBe('');
    report = JSON.parse(stdout);
  });

  const queue = (name: string) => {
    const found = report.queues.find((each) => each.queue === name);
    if (!found) throw new Error(`no queue ${name}`);
    return found;
  };
  const packageOf = (name: string, of: string) => queue(of).packages.find((each) => each.name === name);

  test('names the task that pulls a package in, and the imports that lead to it', () => {
    const from = 'tasks/send-mail/task.js';
    const direct = [from, 'tasks/send-mail/format.js', 'esm-lib'];
    expect(packageOf('esm-lib', 'mail')).toEqual({
      name: 'esm-lib',
      files: 2,
      bytes: expect.any(Number),
      islet: false,
      by: [{ from, chain: direct }],
    });
    expect(packageOf('cjs-lib', 'mail')?.by).toEqual([{ from, chain: [...direct, 'cjs-lib'] }]);
    expect(packageOf('@deep/one', 'mail')?.by).toEqual([{ from, chain: [...direct, 'cjs-lib', '@deep/one'] }]);
  });

  test('sees what a file requires by itself', () => {
    const from = 'queues/reports/dependencies.js';
    expect(packageOf('fat-lib', 'reports')?.by).toEqual([{ from, chain: [from, 'fat-lib'] }]);
  });

  test("tells Islet's own packages from the app's", () => {
    const islets = queue('mail').packages.filter(({ islet }) => islet);
    const names = islets.map(({ name }) => name);
    expect(names).toContain('bullmq');
    expect(names).toContain('msgpackr');
    expect(names).not.toContain('esm-lib');
    expect(islets.find(({ name }) => name === 'bullmq')?.by).toEqual([{ from: 'islet', chain: ['islet', 'bullmq'] }]);
    const ofApp = queue('mail').packages.filter(({ islet }) => !islet);
    expect(ofApp.map(({ name }) => name).sort()).toEqual(['@deep/one', 'cjs-lib', 'esm-lib']);
  });

  test('has a list of what Islet imports itself that is complete', () => {
    const direct = queue('mail').packages.flatMap(({ by }) => by.filter(({ chain }) => chain.length === 2));
    const names = direct.filter(({ from }) => from === 'islet').map(({ chain }) => chain[1]);
    expect([...names, 'convict'].sort()).toEqual(isletPackages);
  });

  test('weighs each queue by itself, and says what the others would add', () => {
    const [mail, reports] = [queue('mail'), queue('reports')];
    expect(reports.rssMb - mail.rssMb).toBeGreaterThan(60);
    expect(mail.othersAdd.rssMb).toBeGreaterThan(60);
    expect(mail.othersAdd.packages).toEqual(['fat-lib']);
    expect(reports.othersAdd.packages).toEqual(['@deep/one', 'cjs-lib', 'esm-lib']);
    expect(report.allQueues.packages).toContain('fat-lib');
    expect(report.islet.packages).not.toContain('fat-lib');
    const [dependencies] = reports.parts;
    expect(dependencies?.file).toBe('queues/reports/dependencies.js');
    expect(dependencies?.rssMb).toBeGreaterThan(60);
  });

  test('shows people the same', async () => {
    const { code, stdout } = await run(app.root, 'footprint', '--queue', 'mail');
    expect(stdout).toMatch(/^mail +\d+\.\d MB +- +\d+ ms +\d+ +\d+ +\+\d+\.\d MB, 1 package$/m);
    expect(stdout).not.toMatch(/^reports /m);
    expect(stdout).toContain('\n    tasks/send-mail/task.js -> tasks/send-mail/format.js -> esm-lib\n');
    expect(code).toBe(0);
  });

  test('refuses a queue that is not there', async () => {
    const { code, stderr } = await run(app.root, 'footprint', '--queue', 'mial');
    expect(stderr).toBe('E_QUEUE_UNKNOWN: There is no queue "mial" in this app. Did you mean "mail"?\n');
    expect(code).toBe(2);
  });
});

describe('islet check holds a queue to its budget', () => {
  async function check(queue: string, budget: string) {
    await app.write(`queues/${queue}/manifest.js`, queueManifest(queue, `budget: ${budget},`));
    const { stdout } = await run(app.root, 'check', '--json', '--queue', queue);
    await app.write(`queues/${queue}/manifest.js`, queueManifest(queue));
    return (JSON.parse(stdout) as { problems: unknown[] }).problems;
  }

  test('of packages, and tells the imports that lead to one too many', async () => {
    expect(await check('mail', "{ packages: ['@deep/*'] }")).toEqual([
      {
        code: 'E_BUDGET_EXCEEDED',
        queue: 'mail',
        file: 'tasks/send-mail/format.js',
        line: 2,
        message:
          'Queue "mail" loads the package "esm-lib", which its budget does not allow (it allows: @deep/*).\n' +
          'tasks/send-mail/task.js -> tasks/send-mail/format.js -> esm-lib (it brings 2 more)\n' +
          'Import it in a task of another queue, or add it to `budget.packages` in queues/mail/manifest.js.',
      },
    ]);
  });

  test('of memory, and tells what adds most', async () => {
    const [problem, ...others] = await check('reports', '{ maxRssMb: 90 }');
    expect(others).toEqual([]);
    expect(problem).toEqual({
      code: 'E_BUDGET_EXCEEDED',
      queue: 'reports',
      file: 'queues/reports/manifest.js',
      line: 5,
      message: expect.stringMatching(
        /^Queue "reports" takes [\d.]+ MB with everything imported and no job taken; its budget is 90 MB\.\nThe import of queues\/reports\/dependencies\.js adds most: [\d.]+ MB\.\nqueues\/reports\/dependencies\.js -> fat-lib\nImport less, /,
      ),
    });
  });

  test('of memory, by the median of three where it is close', async () => {
    const rssMb = report.queues.find(({ queue }) => queue === 'reports')?.rssMb ?? 0;
    const [problem] = await check('reports', `{ maxRssMb: ${Math.floor(rssMb * 0.95)} }`);
    expect(problem).toMatchObject({ message: expect.stringContaining(' MB (median of 3) with everything imported') });
  }, 60_000);

  test.each([
    ['mail', "{ packages: ['esm-lib'], maxRssMb: 150 }"],
    ['mail', "{ packages: ['esm-*'] }"],
    ['reports', "{ packages: ['fat-lib'], maxRssMb: 400 }"],
  ])('and finds nothing wrong with "%s" within %s', async (queue, budget) => {
    expect(await check(queue, budget)).toEqual([]);
  });

  test.each(['thread', 'process'])(
    'by itself where a task runs in a %s, and footprint weighs that by itself',
    async (kind) => {
      const manifest = 'tasks/send-mail/manifest.js';
      await app.write(manifest, taskManifest('send-mail', 'mail', `pool: '${kind}'`));
      const found = await check('mail', "{ packages: ['@deep/*'] }");
      const { stdout } = await run(app.root, 'footprint', '--queue', 'mail', '--json');
      await app.write(manifest, taskManifest('send-mail', 'mail'));
      expect(found).toEqual([
        expect.objectContaining({
          code: 'E_BUDGET_EXCEEDED',
          message: expect.stringContaining(
            `A ${kind} of task "send-mail" (queue "mail") loads the package "esm-lib", which the queue's budget does not allow`,
          ),
        }),
      ]);
      const [measured] = (JSON.parse(stdout) as FootprintReport).queues;
      expect(measured?.packages.map(({ name }) => name)).not.toContain('esm-lib');
      expect(measured?.pools).toEqual([expect.objectContaining({ task: 'send-mail', kind })]);
      expect(measured?.pools[0]?.packages).toContain('esm-lib');
      expect(measured?.pools[0]?.packages.includes('bullmq')).toBe(kind === 'thread');
    },
  );

  test('but tells first what cannot be imported', async () => {
    await app.write('tasks/count-mails/task.js', task("import 'no-such-package';"));
    const found = await check('mail', '{ packages: [], maxRssMb: 1 }');
    await app.write('tasks/count-mails/task.js', task(''));
    expect(found).toMatchObject([{ code: 'E_TASK_LOAD_FAILED', file: 'tasks/count-mails/task.js' }]);
  });
});

test('islet footprint says what cannot be imported', async () => {
  const broken = await openApp();
  await broken.write('tasks/count-mails/task.js', task("throw new Error('not here');"));
  const { code, stderr } = await run(broken.root, 'footprint');
  await broken.close();
  expect(stderr).toMatch(
    /^E_TASK_LOAD_FAILED: Task "count-mails" \(queue "mail"\): .* not here\. .* Nothing was measured\./,
  );
  expect(code).toBe(1);
});

test.each([
  ['islet footprint', 'footprint'],
  ['islet check of a queue with a budget', 'check'],
])('%s tells what fails only where it is measured, and measures nothing', async (_, command) => {
  const broken = await openApp();
  // The measuring processes collect garbage before they read their memory.
  await broken.write('tasks/count-mails/task.js', task("if (globalThis.gc) throw new Error('only here');"));
  await broken.write('queues/mail/manifest.js', queueManifest('mail', 'budget: { maxRssMb: 20 },'));
  const { code, stdout, stderr } = await run(broken.root, command);
  await broken.close();
  expect(stdout + stderr).toContain('E_FOOTPRINT_FAILED');
  expect(stdout + stderr).toContain(
    "A process that imports the app's code ended too early: it could not be imported: only here",
  );
  expect(code).toBe(1);
});
