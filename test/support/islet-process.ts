import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { resolve } from 'node:path';
import { pathToFileURL } from 'node:url';
import { vi } from 'vitest';

export const repository = resolve('.');
export const fixtureApp = (name: string) => resolve('dist/test/fixtures', name);

export interface StartOptions {
  cwd: string;
  /** Variables on top of this process's environment; undefined removes one. */
  env: Record<string, string | undefined>;
  /** Lets `loadedScripts()` look into the process. */
  probe?: boolean;
  /** The command that starts Islet, in place of this Node and this repository. Its processes are signalled together. */
  command?: [program: string, ...args: string[]];
}

export interface LogLine {
  msg: string;
  level: number;
  [field: string]: unknown;
}

export interface Exit {
  code: number | null;
  signal: NodeJS.Signals | null;
}

/** One run of the command line. */
export interface IsletProcess {
  readonly exited: Promise<Exit>;
  stdout(): string;
  stderr(): string;
  /** Returns the log lines so far that have all of these fields. */
  lines(fields: Record<string, unknown>): LogLine[];
  /** Waits for such a line, and fails at once when the process has ended without one. */
  line(fields: Record<string, unknown>, timeoutMs?: number): Promise<LogLine>;
  /** Waits for the end of one attempt of a job. */
  outcome(jobId: string | undefined, outcome: string): Promise<LogLine>;
  loadedScripts(): Promise<string[]>;
  kill(signal: NodeJS.Signals): void;
  /** Sends SIGTERM and waits for the end, at most so long. */
  stop(timeoutMs?: number): Promise<Exit>;
}

const running = new Map<ChildProcess, (signal: NodeJS.Signals) => void>();

/** Kills the processes that a test left running. */
export async function killAll(): Promise<void> {
  const ended = [...running.keys()].map((child) => once(child, 'close'));
  for (const kill of running.values()) kill('SIGKILL');
  await Promise.all(ended);
}

/** Returns a function that lists the log lines so far. It is asked again and again, so it parses each line once. */
function parseLines(text: () => string): () => LogLine[] {
  const lines: LogLine[] = [];
  let parsed = 0;
  return () => {
    const end = text().lastIndexOf('\n') + 1;
    const fresh = text().slice(parsed, end).split('\n');
    lines.push(...fresh.filter((line) => line.startsWith('{')).map((line) => JSON.parse(line) as LogLine));
    parsed = end;
    return lines;
  };
}

function collect(stream: NodeJS.ReadableStream | null): () => string {
  let text = '';
  stream?.setEncoding('utf8').on('data', (data) => {
    text += data;
  });
  return () => text;
}

export function within<T>(promise: Promise<T>, limitMs: number, what: string): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error(`${what} took longer than ${limitMs} ms`)), limitMs);
  });
  return Promise.race([promise, late]).finally(() => clearTimeout(timer));
}

/** Starts `islet <args>` as a user does. */
export function startIslet(args: string[], { cwd, env, probe, command }: StartOptions): IsletProcess {
  const probeFile = pathToFileURL(resolve('test/support/loaded-scripts.js')).href;
  const [program, ...first] = command ?? [process.execPath, resolve('bin/islet.js')];
  const child = spawn(program, [...first, ...args], {
    cwd,
    detached: command !== undefined,
    env: { ...process.env, NODE_ENV: 'test', NODE_OPTIONS: probe ? `--import=${probeFile}` : undefined, ...env },
    stdio: probe ? ['ignore', 'pipe', 'pipe', 'ipc'] : ['ignore', 'pipe', 'pipe'],
  });
  const kill = (signal: NodeJS.Signals) => {
    if (command !== undefined && child.pid !== undefined) process.kill(-child.pid, signal);
    else child.kill(signal);
  };
  running.set(child, kill);
  const [stdout, stderr] = [collect(child.stdout), collect(child.stderr)];
  let ended: Exit | undefined;
  const exited = once(child, 'close').then(([code, signal]): Exit => {
    running.delete(child);
    ended = { code, signal };
    return ended;
  });
  const parsed = parseLines(stdout);
  const lines = (fields: Record<string, unknown>) =>
    parsed().filter((line) => Object.entries(fields).every(([key, value]) => line[key] === value));
  const line = async (fields: Record<string, unknown>, timeoutMs = 10_000) => {
    const wanted = () => `no line ${JSON.stringify(fields)} in\n${stdout()}${stderr()}`;
    const look = () => {
      const [found] = lines(fields);
      if (found) return found;
      if (ended) return undefined;
      throw new Error(wanted());
    };
    const found = await vi.waitFor(look, { timeout: timeoutMs, interval: 20 });
    if (found) return found;
    throw new Error(`the process ended with ${JSON.stringify(ended)}: ${wanted()}`);
  };
  return {
    exited,
    stdout,
    stderr,
    lines,
    line,
    outcome: (jobId, outcome) => line({ msg: 'Job finished', jobId, outcome }),
    async loadedScripts() {
      const answer = once(child, 'message');
      child.send('list');
      const [urls] = await within(answer, 10_000, 'the list of scripts');
      return urls as string[];
    },
    kill,
    stop(timeoutMs = 10_000) {
      kill('SIGTERM');
      return within(exited, timeoutMs, 'the stop');
    },
  };
}
