import { Child, type End } from '../kit/child.ts';

/** One command, as a newcomer types it into a shell. */
export interface Step {
  command: string;
  /** The command goes on, as in a second terminal: the next one comes when the output has this text. */
  until?: string;
  /** The text that the output has when the command did what it is for. */
  prints?: string;
}

export interface PathOptions {
  cwd: string;
  env: NodeJS.ProcessEnv;
  maxCommands: number;
  /** The limit of all commands together. */
  maxMs: number;
  print(line: string): void;
  /** Ends what runs, and the path with it. */
  halted?: AbortSignal;
}

const keptOutput = 100_000;
const stopLimitMs = 30_000;
const seconds = (ms: number) => `${(ms / 1_000).toFixed(1)} s`;

function start(command: string, { cwd, env }: PathOptions): Child {
  // The shell leads a group, so that what it and npm have started ends with it.
  return new Child({ program: '/bin/sh', args: ['-c', command], cwd, env, leadsGroup: true, keptOutput });
}

/** Waits for the end of a command, or for what it says when it is ready. Throws when it fails. */
async function untilDone({ command, until, prints }: Step, child: Child): Promise<void> {
  const fail = (what: string) => new Error(`"${command}" ${what}:\n${child.output.trimEnd()}`);
  if (until !== undefined) {
    if (await child.says(until)) return;
    await child.closed;
    throw fail(`did not say ${until}`);
  }
  const { code, signal }: End = await child.closed;
  if (code !== 0) throw fail(`ended with ${signal ?? code}`);
  if (prints !== undefined && !child.output.includes(prints)) throw fail(`did not say ${prints}`);
}

/**
 * Runs the commands one after the other, prints what each took, and ends those that go on. Throws when one fails, when
 * there are too many, or when all of them together take too long.
 */
export async function walkPath(steps: Step[], options: PathOptions): Promise<void> {
  const { maxCommands, maxMs, print, halted } = options;
  const startedAt = performance.now();
  const started: Child[] = [];
  const endAll = () => Promise.all(started.map((child) => child.stop(stopLimitMs)));
  let isLate = false;
  const limit = setTimeout(() => {
    isLate = true;
    void endAll();
  }, maxMs);
  halted?.addEventListener('abort', endAll);
  try {
    for (const [index, step] of steps.entries()) {
      halted?.throwIfAborted();
      const from = performance.now();
      const child = start(step.command, options);
      started.push(child);
      await untilDone(step, child).catch((error) => {
        throw isLate ? new Error(`Not done within ${seconds(maxMs)}; at the end ran: ${error.message}`) : error;
      });
      print(`  ${index + 1}. ${seconds(performance.now() - from).padStart(7)}  ${step.command}`);
    }
    print(`  ${steps.length} commands, ${seconds(performance.now() - startedAt)}`);
    if (steps.length > maxCommands) throw new Error(`${steps.length} commands are more than ${maxCommands}.`);
  } finally {
    clearTimeout(limit);
    halted?.removeEventListener('abort', endAll);
    await endAll();
  }
}
