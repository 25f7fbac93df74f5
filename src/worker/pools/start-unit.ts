import { fork } from 'node:child_process';
import { Worker } from 'node:worker_threads';
import { killGroup } from '../../process/kill-group.ts';
import { messageOf } from '../../thrown.ts';
import { atMost } from '../at-most.ts';
import { type FromUnit, read, type ToUnit, type UnitOrder, write } from './messages.ts';

export interface UnitProgram {
  /** The path of the program's module, which finds its order, as JSON, in its first argument. */
  readonly file: string;
  /** Flags of Node's for units that are processes. */
  readonly execArgv: readonly string[];
}

/** What ended a unit. */
export interface UnitDeath {
  /** For messages: "ended with exit code 3". */
  readonly how: string;
  /** Whether it was ended from outside, or could not be made: another one may do better. */
  readonly byOthers: boolean;
}

export interface StartedUnit {
  send(message: ToUnit): void;
  /** Ends the unit at once, whatever it does, and what a process has started. */
  kill(): void;
  /** Resolves at the unit's end, after its last message. */
  readonly ended: Promise<UnitDeath>;
}

type Take = (message: FromUnit) => void;

/** How long a dead process's last messages are waited for: a process that it started may hold its channel open. */
const lastWordsMs = 200;

const heapLimit = ({ maxMemoryMb }: UnitOrder) => `its heap may take ${maxMemoryMb} MB, by \`maxMemoryMb\``;

function startThread({ file }: UnitProgram, order: UnitOrder, take: Take): StartedUnit {
  const thread = new Worker(file, {
    name: `islet-${order.task}`,
    argv: [JSON.stringify(order)],
    resourceLimits: { maxOldGenerationSizeMb: order.maxMemoryMb },
  });
  thread.on('message', (text) => take(read<FromUnit>(text)));
  let failure: string | undefined;
  thread.on('error', (error: NodeJS.ErrnoException) => {
    const isMemory = error?.code === 'ERR_WORKER_OUT_OF_MEMORY';
    failure = isMemory ? `ran out of memory (${heapLimit(order)})` : `threw "${messageOf(error)}"`;
  });
  return {
    send: (message) => thread.postMessage(write(message)),
    kill: () => void thread.terminate(),
    ended: new Promise((resolve) => {
      thread.on('exit', (code) => resolve({ how: failure ?? `ended with exit code ${code}`, byOthers: false }));
    }),
  };
}

function explainEnd(order: UnitOrder, code: number | null, signal: string | null): string {
  // V8 ends like this when it runs out of memory, and so does native code that gives up.
  if (signal === 'SIGABRT') return `was ended by SIGABRT, as when it runs out of memory (${heapLimit(order)})`;
  if (signal === 'SIGKILL') return "was ended by SIGKILL, as when the system's memory is used up";
  return signal === null ? `ended with exit code ${code}` : `was ended by ${signal}`;
}

function startProcess(program: UnitProgram, order: UnitOrder, take: Take): StartedUnit {
  const child = fork(program.file, [JSON.stringify(order)], {
    execArgv: [...program.execArgv, `--max-old-space-size=${order.maxMemoryMb}`],
    // The default would write the text as JSON once more.
    serialization: 'advanced',
    stdio: ['ignore', 'inherit', 'inherit', 'ipc'],
    // The process leads a group of its own, and ends with it. A terminal's signals do not reach that group.
    detached: true,
  });
  child.on('message', (text) => take(read<FromUnit>(text)));
  const ended = new Promise<UnitDeath>((resolve) => {
    const failed = ({ message }: Error) => resolve({ how: `could not be started: ${message}`, byOthers: true });
    child.on('error', (error) => child.pid === undefined && failed(error));
    child.on('exit', async (code, signal) => {
      killGroup(child.pid);
      const disconnected = new Promise((over) => child.once('disconnect', over));
      if (child.connected) await atMost(lastWordsMs, disconnected);
      if (child.connected) child.disconnect();
      resolve({ how: explainEnd(order, code, signal), byOthers: signal !== null });
    });
  });
  return {
    // The process may be dead already. `ended` tells that, so a failed send is ignored.
    send: (message) => child.connected && child.send(write(message), () => {}),
    kill() {
      // The number of a process that has ended may be another's.
      const lives = child.exitCode === null && child.signalCode === null;
      if (lives && !killGroup(child.pid)) child.kill('SIGKILL');
    },
    ended,
  };
}

/** Starts a thread or process that is to run the jobs of one task; `take` gets what it says. */
export function startUnit(program: UnitProgram, order: UnitOrder, take: Take): StartedUnit {
  return order.parent === undefined ? startThread(program, order, take) : startProcess(program, order, take);
}
