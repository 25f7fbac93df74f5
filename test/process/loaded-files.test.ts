import { execFileSync } from 'node:child_process';
import { pathToFileURL } from 'node:url';
import { expect, test } from 'vitest';

/** Lists what a fresh process has loaded after an import, from the process's own list of scripts. */
function loadedBy(...files: string[]): string[] {
  const imports = files.map((file) => `await import(${JSON.stringify(pathToFileURL(file).href)});`).join('');
  const program = `import { Session } from 'node:inspector';
    ${imports}
    const session = new Session(); const urls = [];
    session.connect(); session.on('Debugger.scriptParsed', ({ params }) => urls.push(params.url)); session.post('Debugger.enable');
    console.log(JSON.stringify(urls));`;
  return JSON.parse(execFileSync(process.execPath, ['--input-type=module', '-e', program], { encoding: 'utf8' }));
}

const packagesIn = (urls: string[]) => [
  ...new Set(
    urls.map((url) => /node_modules\/((?:@[^/]+\/)?[^/]+)/.exec(url)?.[1]).filter((name) => name !== undefined),
  ),
];

test('manifests load nothing but the schema library', () => {
  const tasks = ['scrape-page', 'export-links', 'make-thumbnail', 'render-pdf', 'fit-curve'];
  const loaded = loadedBy('dist/src/index.js', ...tasks.map((task) => `dist/tasks/${task}/manifest.js`));
  expect(loaded.filter((url) => url.endsWith('/tasks/scrape-page/manifest.js'))).toHaveLength(1);
  expect(packagesIn(loaded)).toEqual(['valibot']);
});

test('the test kit loads no package at all: no bullmq, ioredis, awilix or pino', () => {
  const loaded = loadedBy('dist/src/testing.js');
  expect(loaded.filter((url) => url.endsWith('/testing/memory-broker.js'))).toHaveLength(1);
  expect(packagesIn(loaded)).toEqual([]);
});

test('the producer loads no awilix, no pino and no task code', () => {
  const loaded = loadedBy('dist/src/producer.js', 'dist/tasks/scrape-page/manifest.js');
  const packages = packagesIn(loaded);
  expect(packages).toContain('bullmq');
  expect(packages).not.toContain('awilix');
  expect(packages).not.toContain('pino');
  expect(loaded.filter((url) => /\/task\.js$|dependencies\.js$|src\/(worker|cli|app)\//.test(url))).toEqual([]);
});

test('the parent of workers loads no bullmq, ioredis, awilix or pino, and nothing of the app', () => {
  const loaded = loadedBy('dist/src/cli/main.js', 'dist/src/cli/worker-command.js', 'dist/src/cli/supervise.js');
  expect(loaded.filter((url) => url.endsWith('/supervisor/supervisor.js'))).toHaveLength(1);
  expect(packagesIn(loaded)).toEqual(['commander']);
  expect(loaded.filter((url) => /src\/(worker|broker|producer)\//.test(url))).toEqual([]);
});
