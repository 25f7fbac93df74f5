import { readdirSync, readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { launchProfiles } from '../../../../src/launch-profiles.ts';
import { workerDefaults } from '../../../../src/manifest/defaults.ts';
import { appFiles, examplePayload } from '../../../../src/tools/scaffold/init-app.ts';

const read = (file: string) => readFileSync(file, 'utf8');
const files = appFiles('my-workers', '1.2.3');
const fileOf = (name: string) => files[name] ?? '';

describe('the containers of this repository are those of a new app', () => {
  test('in the Dockerfile, but for the command that builds', () => {
    const inAnApp = 'RUN npx --no-install islet build';
    expect(fileOf('Dockerfile')).toContain(inAnApp);
    expect(read('Dockerfile')).toBe(
      fileOf('Dockerfile').replace(inAnApp, 'RUN npm run build && node bin/islet.js build'),
    );
  });

  test('in compose.yaml, with a service for each of its queues', () => {
    const [head, service = ''] = fileOf('compose.yaml').split(/(?=\n {2}mail:\n)/);
    const services = readdirSync('queues')
      .sort()
      .map((queue) => service.replaceAll('mail', queue));
    expect(service).toContain('QUEUE: mail');
    expect(read('compose.yaml')).toBe([head, ...services].join(''));
  });

  test.each(['.', 'templates/app'])(
    'in what no image has: what git ignores, git itself, and secrets (%s)',
    (folder) => {
      const ignored = read(folder === '.' ? '.gitignore' : `${folder}/_.gitignore`).replace('.env\n', '');
      expect(read(`${folder}/.dockerignore`)).toBe(`${ignored}.git/\n.env\n`);
    },
  );
});

test('the image starts Node itself, in the lean profile, as no root', () => {
  const [, last = ''] = fileOf('Dockerfile').split('\nFROM debian');
  const [, command = '[]'] = /^CMD (.*)$/m.exec(last) ?? [];
  const { flags, env } = launchProfiles.lean;
  expect(JSON.parse(command)).toEqual(['node', ...flags, 'worker.js']);
  for (const [name, value] of Object.entries(env))
    expect(last).toMatch(new RegExp(`^ENV .*\\b${name}=${value}\\b`, 'm'));
  expect(last).toMatch(/^USER [1-9]\d*:[1-9]\d*$/m);
  expect([...last.matchAll(/^COPY .*$/gm)].map(([line]) => line)).toEqual([
    'COPY --from=build /usr/local/bin/node /usr/local/bin/node',
    'COPY --from=build /worker ./',
  ]);
});

test('compose waits for longer than a worker takes to stop', () => {
  const [, seconds] = /stop_grace_period: (\d+)s/.exec(fileOf('compose.yaml')) ?? [];
  expect(Number(seconds) * 1_000).toBeGreaterThan(workerDefaults.gracefulTimeoutMs + 2_000);
});

describe('the package.json of a new app', () => {
  const own = JSON.parse(read('package.json'));
  const made = JSON.parse(fileOf('package.json'));

  test('has the name of its folder, and asks for this version of Islet', () => {
    expect(made).toMatchObject({ name: 'my-workers', dependencies: { islet: '^1.2.3' } });
  });

  test('brings what only tools load, which Islet itself does not bring', () => {
    const optional = Object.keys(own.peerDependenciesMeta).filter((name) => own.peerDependenciesMeta[name].optional);
    expect(Object.keys(own.peerDependencies)).toEqual(optional);
    expect(made.devDependencies).toMatchObject(own.peerDependencies);
    expect(own.devDependencies).toMatchObject(own.peerDependencies);
    expect(Object.keys(own.dependencies).filter((name) => optional.includes(name))).toEqual([]);
  });

  test('asks for the Node and the versions of packages that Islet was tested with', () => {
    const { islet, ...asked } = { ...made.dependencies, ...made.devDependencies };
    const tested = { ...own.devDependencies, ...own.dependencies };
    expect(asked).toEqual(Object.fromEntries(Object.keys(asked).map((name) => [name, tested[name]])));
    expect(made.engines).toEqual(own.engines);
  });
});

test('the README enqueues what the commands of `islet init` enqueue', () => {
  expect(fileOf('README.md')).toContain(`npm run enqueue -- send-welcome ${examplePayload} --wait\n`);
});
