import { readdirSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { createWorkerChild, type WorkerChild } from '../supervisor/worker-child.ts';

interface SpareWorkerOptions {
  /** The file of the command line. */
  program: string;
  env: Readonly<Record<string, string | undefined>>;
  /** The folder of the framework's compiled code: a worker that was made before that changed is not used. */
  framework: string;
}

interface Spare {
  args: string;
  /** When the framework that it has loaded was written. */
  madeOf: number;
  child: WorkerChild;
}

/** Returns when the last file of the framework was written: who works on Islet itself compiles it at each save. */
function lastWritten(framework: string): number {
  const files = readdirSync(framework, { recursive: true, encoding: 'utf8' }).filter((file) => file.endsWith('.js'));
  return Math.max(...files.map((file) => statSync(join(framework, file), { throwIfNoEntry: false })?.mtimeMs ?? 0));
}

/** Starts workers, and keeps one in reserve that has loaded all of the framework, so that new code runs sooner. */
export class SpareWorker {
  readonly #options: SpareWorkerOptions;
  #spare: Spare | undefined;
  #closed = false;

  constructor(options: SpareWorkerOptions) {
    this.#options = options;
  }

  /** Starts the worker in reserve where it fits, or a new one. */
  start(args: string[]): WorkerChild {
    if (this.#spare?.args !== args.join() || this.#spare.madeOf !== lastWritten(this.#options.framework)) {
      this.#dismiss();
    }
    const child = this.#spare?.child ?? this.#create(args);
    this.#spare = undefined;
    child.start({ tellFiles: true });
    return child;
  }

  /** Makes the next worker before it is needed. */
  prepare(args: string[]): void {
    if (this.#spare || this.#closed) return;
    const made: Spare = {
      args: args.join(),
      madeOf: lastWritten(this.#options.framework),
      child: this.#create(args),
    };
    this.#spare = made;
    void made.child.ended.then(() => {
      if (this.#spare === made) this.#spare = undefined;
    });
  }

  /** Ends the worker in reserve; no other is made after that. */
  close(): void {
    this.#closed = true;
    this.#dismiss();
  }

  #create(args: string[]): WorkerChild {
    const { program, env } = this.#options;
    return createWorkerChild(program, args, env);
  }

  #dismiss(): void {
    // A worker in reserve has loaded nothing of the app, so there is nothing for it to finish.
    this.#spare?.child.kill();
    this.#spare = undefined;
  }
}
