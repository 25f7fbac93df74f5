import { execFile } from 'node:child_process';
import { basename, dirname, join } from 'node:path';
import { promisify } from 'node:util';
import { type IsletProcess, startIslet, within } from './islet-process.ts';
import { openTempApp, type TempApp } from './temp-app.ts';

const run = promisify(execFile);

export interface Ended {
  code: number | null;
  stdout: string;
  stderr: string;
}

/** An app that `islet init` made, with the packages of this repository as if they were installed. */
export interface NewApp extends TempApp {
  /** Runs `islet <args>` in the app until it ends. */
  islet(args: string[], env?: Record<string, string | undefined>): Promise<Ended>;
  start(args: string[], env?: Record<string, string | undefined>): IsletProcess;
  /** Runs a tool of the app's node_modules; returns what it wrote, throws when it fails. */
  tool(script: string, ...args: string[]): Promise<string>;
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

export async function createNewApp(): Promise<NewApp> {
  const app = await openTempApp(async (root) => {
    const { code, stderr } = await runIslet(['init', basename(root)], dirname(root));
    if (code !== 0) throw new Error(`islet init failed: ${stderr}`);
  });
  const { root: folder } = app;
  // These are the variables of a user's shell, so that stale code is compiled, as in development.
  const surroundings = (env: Record<string, string | undefined>) => ({
    NODE_ENV: undefined,
    VITEST: undefined,
    REDIS_URL: undefined,
    ...env,
  });
  return {
    ...app,
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
  };
}
