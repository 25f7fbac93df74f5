import { readdirSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { createWorkerChild, type WorkerChild } from '../supervisor/worker-child.ts';

/** Makes workers, and keeps one that has all framework code loaded in advance, so that new code runs sooner. */
export interface Nursery {
  /** A worker that has just been started. */
  start(args: string[]): WorkerChild;
  /** The next one, for when it is needed. */
  prepare(args: string[]): void;
  /** Ends the one that waits; no other is prepared after that. */
  close(): void;
}

export interface NurseryOptions {
  /** The file of the command line. */
  program: string;
  env: Readonly<Record<string, string | undefined>>;
  /** The folder of the framework's compiled code: a worker that was made before that changed is not used. */
  framework: string;
}

interface Spare {
  args: string;
  madeOf: number;
  child: WorkerChild;
}

/** When the last file of the framework was written: who works on Islet itself compiles it at each save. */
function lastWritten(framework: string): number {
  const files = readdirSync(framework, { recursive: true, encoding: 'utf8' }).filter((file) => file.endsWith('.js'));
  return Math.max(...files.map((file) => statSync(join(framework, file), { throwIfNoEntry: false })?.mtimeMs ?? 0));
}

export function createNursery({ program, env, framework }: NurseryOptions): Nursery {
  let spare: Spare | undefined;
  let closed = false;
  const create = (args: string[]) => createWorkerChild(program, args, env);
  const dismiss = () => {
    // It has loaded nothing of the app, and there is nothing that it could finish.
    spare?.child.kill();
    spare = undefined;
  };
  return {
    start(args) {
      if (spare?.args !== args.join() || spare.madeOf !== lastWritten(framework)) dismiss();
      const child = spare?.child ?? create(args);
      spare = undefined;
      child.start();
      return child;
    },
    prepare(args) {
      if (spare || closed) return;
      const made: Spare = { args: args.join(), madeOf: lastWritten(framework), child: create(args) };
      spare = made;
      void made.child.ended.then(() => {
        if (spare === made) spare = undefined;
      });
    },
    close() {
      closed = true;
      dismiss();
    },
  };
}
