import { type ChildProcess, type StdioOptions, spawn } from 'node:child_process';
import { createWriteStream } from 'node:fs';
import { createInterface } from 'node:readline';
import { settlesWithin } from './wait.ts';

/** What is started, and how. */
export interface Command {
  readonly program: string;
  readonly args: readonly string[];
  readonly cwd?: string;
  /** The whole environment. Default: that of this process. */
  readonly env?: NodeJS.ProcessEnv;
  /** The account that the process runs as. Default: that of this process. */
  readonly uid?: number;
  readonly gid?: number;
  /** Default: no input, and an output that is read. */
  readonly stdio?: StdioOptions;
  /** Whether the process leads a group of its own, so that signals reach all that it starts. Default: false. */
  readonly leadsGroup?: boolean;
  /** How many characters of the end of the output are kept. Default: 4,000. */
  readonly keptOutput?: number;
}

export interface End {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
}

const running = new Set<Child>();

process.once('exit', () => {
  for (const child of running) child.kill('SIGKILL');
});

/** A process that this one starts, follows and ends. It does not outlive this one, unless that is killed by SIGKILL. */
export class Child {
  readonly pid: number;
  readonly process: ChildProcess;
  /** Resolves when the process has ended. Never rejects. */
  readonly exited: Promise<End>;
  /** Resolves when the process has ended and all that it wrote has been read. Never rejects. */
  readonly closed: Promise<End>;
  readonly #leadsGroup: boolean;
  readonly #keptOutput: number;
  readonly #onText = new Set<(text: string) => void>();
  #output = '';

  constructor({ program, args, leadsGroup = false, keptOutput = 4_000, ...options }: Command) {
    const child = spawn(program, args, { stdio: ['ignore', 'pipe', 'pipe'], ...options, detached: leadsGroup });
    // A failed start comes as an event, too, which would end this process.
    child.on('error', () => {});
    // To signal a process without an id could mean to signal every process of this machine.
    if (child.pid === undefined) throw new Error(`${program} cannot be started.`);
    this.pid = child.pid;
    this.process = child;
    this.exited = new Promise((resolve) => child.once('exit', (code, signal) => resolve({ code, signal })));
    this.closed = new Promise((resolve) => child.once('close', (code, signal) => resolve({ code, signal })));
    this.#leadsGroup = leadsGroup;
    this.#keptOutput = keptOutput;
    for (const stream of [child.stdout, child.stderr]) {
      stream?.setEncoding('utf8').on('data', (chunk: string) => this.#read(chunk));
    }
    running.add(this);
    child.once('exit', () => running.delete(this));
  }

  /** The end of what the process has written. */
  get output(): string {
    return this.#output;
  }

  get hasEnded(): boolean {
    return this.process.exitCode !== null || this.process.signalCode !== null;
  }

  /** Resolves with true when the output has this text, or with false when the process has ended before. */
  says(text: string | RegExp): Promise<boolean> {
    return new Promise((resolve) => {
      const look = (output: string) => {
        if (typeof text === 'string' ? !output.includes(text) : !text.test(output)) return;
        this.#onText.delete(look);
        resolve(true);
      };
      this.#onText.add(look);
      look(this.#output);
      void this.exited.then(() => {
        this.#onText.delete(look);
        resolve(false);
      });
    });
  }

  /** Calls the listener with each line of the standard output. */
  onLine(listener: (line: string) => void): void {
    if (this.process.stdout) createInterface({ input: this.process.stdout }).on('line', listener);
  }

  /** Writes all output into a file. Resolves when the process has ended and the file is complete. */
  async logTo(file: string): Promise<void> {
    const log = createWriteStream(file);
    for (const stream of [this.process.stdout, this.process.stderr]) stream?.pipe(log, { end: false });
    await this.closed;
    await new Promise<void>((resolve) => log.end(resolve));
  }

  kill(signal: NodeJS.Signals): void {
    if (this.hasEnded) return;
    if (this.#leadsGroup) tryKill(-this.pid, signal);
    else this.process.kill(signal);
  }

  /** Asks the process to end, and kills it when it takes longer than the limit. */
  async stop(limitMs: number): Promise<void> {
    this.kill('SIGTERM');
    if (!(await settlesWithin(this.exited, limitMs))) this.kill('SIGKILL');
    await this.exited;
  }

  #read(chunk: string): void {
    const text = this.#output + chunk;
    for (const look of this.#onText) look(text);
    this.#output = text.slice(-this.#keptOutput);
  }
}

/** Sends a signal to a process that may have ended by now; says whether it was there. */
export function tryKill(pid: number, signal: NodeJS.Signals | 0): boolean {
  try {
    return process.kill(pid, signal);
  } catch {
    return false;
  }
}

export function describeEnd({ code, signal }: End): string {
  return signal ?? `exit code ${code}`;
}
