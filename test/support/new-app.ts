import { execFile } from 'node:child_process';
import { mkdir, mkdtemp, rm, symlink } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join, resolve } from 'node:path';
import { promisify } from 'node:util';
import { type IsletProcess, repository, startIslet, within } from './islet-process.ts';

const run = promisify(execFile);

/** What a new app's package.json asks for, apart from Islet. */
const packages = [
  ...['awilix', 'convict', 'valibot', 'typescript', 'vitest'],
  ...['@biomejs/biome', '@types/convict', '@types/node'],
];

export interface Ended {
  code: number | null;
  stdout: string;
  stderr: string;
}

/** An app that `islet init` made, with this repository's packages in place of an install. */
export interface NewApp {
  readonly folder: string;
  /** Runs `islet <args>` there to its end. */
  islet(args: string[], env?: Record<string, string | undefined>): Promise<Ended>;
  start(args: string[], env?: Record<string, string | undefined>): IsletProcess;
  /** Runs a tool of the app's node_modules; returns what it wrote, throws when it fails. */
  tool(script: string, ...args: string[]): Promise<string>;
  close(): Promise<void>;
}

export async function runIslet(
  args: string[],
  cwd: string,
  env: Record<string, string | undefined> = {},
): Promise<Ended> {
  const islet = startIslet(args, { cwd, env });
  const { code } = await within(islet.exited, 20_000, `islet ${args.join(' ')}`);
  return { code, stdout: islet.stdout(), stderr: islet.stderr() };
}

async function link(folder: string): Promise<void> {
  for (const name of packages) {
    const target = join(folder, 'node_modules', name);
    await mkdir(dirname(target), { recursive: true });
    await symlink(resolve('node_modules', name), target);
  }
  await symlink(repository, join(folder, 'node_modules/islet'));
}

export async function createNewApp(): Promise<NewApp> {
  const parent = await mkdtemp(join(tmpdir(), 'islet-new-app-'));
  const close = () => rm(parent, { recursive: true, force: true });
  const folder = join(parent, 'my-workers');
  const { code, stderr } = await runIslet(['init', 'my-workers'], parent);
  if (code !== 0) {
    await close();
    throw new Error(`islet init failed: ${stderr}`);
  }
  await link(folder);
  // Of a user's shell, not of a test's: in development what is stale is compiled.
  const surroundings = (env: Record<string, string | undefined>) => ({
    NODE_ENV: undefined,
    VITEST: undefined,
    REDIS_URL: undefined,
    ...env,
  });
  return {
    folder,
    islet: (args, env = {}) => runIslet(args, folder, surroundings(env)),
    start: (args, env = {}) => startIslet(args, { cwd: folder, env: surroundings(env) }),
    async tool(script, ...args) {
      const env = { ...process.env, NODE_ENV: undefined, VITEST: undefined, NO_COLOR: '1' };
      try {
        const file = join(folder, 'node_modules', script);
        const { stdout } = await run(process.execPath, [file, ...args], { cwd: folder, env, timeout: 60_000 });
        return stdout;
      } catch (error) {
        const { stdout, stderr } = error as { stdout?: string; stderr?: string };
        throw new Error(`${script} ${args.join(' ')} failed:\n${stdout ?? ''}${stderr ?? ''}`, { cause: error });
      }
    },
    close,
  };
}
