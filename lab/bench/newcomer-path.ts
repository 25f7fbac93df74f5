import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';

/** One command, as a newcomer types it into a shell. */
export interface Step {
  command: string;
  /** It goes on, as in a second terminal: the next command comes when its output has this. */
  until?: string;
  /** What its output has when it did what it is for. */
  prints?: string;
}

export interface PathOptions {
  cwd: string;
  env: NodeJS.ProcessEnv;
  maxCommands: number;
  /** Of all commands together. */
  maxMs: number;
  print(line: string): void;
}

interface Running {
  child: ChildProcess;
  output: string;
}

const seconds = (ms: number) => `${(ms / 1_000).toFixed(1)} s`;

function start(command: string, { cwd, env }: PathOptions): Running {
  // In a process group of its own, so that what a shell and npm have started ends with it.
  const child = spawn(command, { cwd, env, shell: true, detached: true, stdio: ['ignore', 'pipe', 'pipe'] });
  const running = { child, output: '' };
  for (const stream of [child.stdout, child.stderr]) {
    stream?.setEncoding('utf8').on('data', (text) => {
      running.output += text;
    });
  }
  return running;
}

async function end({ child }: Running): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null || child.pid === undefined) return;
  const closed = once(child, 'close');
  process.kill(-child.pid, 'SIGTERM');
  await closed;
}

/** Waits for the end of a command, or for what it says when it is ready. Throws when it fails. */
async function untilDone(step: Step, running: Running): Promise<void> {
  const { child } = running;
  await new Promise<void>((resolve) => {
    child.once('close', () => resolve());
    const { until } = step;
    if (until === undefined) return;
    child.stdout?.on('data', () => {
      if (running.output.includes(until)) resolve();
    });
  });
  const fail = (what: string) => new Error(`"${step.command}" ${what}:\n${running.output.trimEnd()}`);
  const wanted = step.until ?? step.prints;
  if (step.until === undefined && child.exitCode !== 0) throw fail(`ended with ${child.signalCode ?? child.exitCode}`);
  if (wanted !== undefined && !running.output.includes(wanted)) throw fail(`did not say ${wanted}`);
}

/**
 * Runs the commands one after the other, prints what each took, and ends those that go on. Throws when one fails, when
 * there are too many, or when all of them together take too long.
 */
export async function walkPath(steps: Step[], options: PathOptions): Promise<void> {
  const { maxCommands, maxMs, print } = options;
  const startedAt = performance.now();
  const started: Running[] = [];
  let isLate = false;
  const limit = setTimeout(() => {
    isLate = true;
    for (const running of started) void end(running);
  }, maxMs);
  try {
    for (const [index, step] of steps.entries()) {
      const from = performance.now();
      const running = start(step.command, options);
      started.push(running);
      await untilDone(step, running).catch((error) => {
        throw isLate ? new Error(`Not done within ${seconds(maxMs)}; at the end ran: ${error.message}`) : error;
      });
      print(`  ${index + 1}. ${seconds(performance.now() - from).padStart(7)}  ${step.command}`);
    }
    print(`  ${steps.length} commands, ${seconds(performance.now() - startedAt)}`);
    if (steps.length > maxCommands) throw new Error(`${steps.length} commands are more than ${maxCommands}.`);
  } finally {
    clearTimeout(limit);
    await Promise.all(started.map(end));
  }
}
