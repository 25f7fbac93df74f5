import { isatty } from 'node:tty';
import { workerDefaults } from '../manifest/defaults.ts';
import { LineLog } from '../supervisor/line-log.ts';
import { Supervisor } from '../supervisor/supervisor.ts';
import { createWorkerChild } from '../supervisor/worker-child.ts';
import { showStatus } from './show-status.ts';
import { StopRequests } from './stop-requests.ts';
import { toChildArgs, type WorkerFlags } from './worker-flags.ts';

/** How many workers are kept, and how each is started. */
export interface SuperviseOptions {
  processes: number;
  /** The file of the workers' program, and what stands before the flags of a worker on its command line. */
  program: string;
  command: readonly string[];
  env: Readonly<Record<string, string | undefined>>;
  /** Borrows the project's private Redis. A built worker has none. */
  borrowRedis?(): Promise<{ close(): Promise<void> }>;
}

/** Signals that mean something to other servers; this one only logs them. */
const unknownSignals = ['SIGTTIN', 'SIGTTOU'] as const;
const knownSignals = 'TERM, INT and QUIT stop, HUP replaces the workers one by one, USR2 shows the status';

/** Opens the health check as soon as its port is known, from the flag or from the settings that a worker has told. */
function createHealthPort(supervisor: () => Supervisor, log: LineLog) {
  let opened = false;
  return (port: number) => {
    if (opened || port === 0) return;
    opened = true;
    void import('../observe/livez.ts')
      .then(({ openLivez }) => openLivez(port, () => supervisor().health))
      .catch((error: Error & { code?: string }) => {
        log.write('fatal', { code: error.code, error: error.message }, 'The health check cannot be answered');
        supervisor().giveUp(1);
      });
  };
}

/** Keeps the project's private Redis while the only worker is being replaced. */
function createRedisLease(borrow: SuperviseOptions['borrowRedis']) {
  let lease: Promise<{ close(): Promise<void> } | undefined> | undefined;
  return {
    take() {
      // The workers say what is wrong with their Redis.
      lease ??= borrow?.().catch(() => undefined);
    },
    close: async () => (await lease)?.close(),
  };
}

/** Creates what tells the SIGHUP of a closed terminal from one that asks for new workers. */
function createTerminalCheck(): () => boolean {
  const was = [0, 1, 2].filter((fd) => isatty(fd));
  return () => was.length > 0 && !was.some((fd) => isatty(fd));
}

function listen(supervisor: Supervisor, log: LineLog): void {
  const requests = new StopRequests();
  const stop = (signal: string) => {
    if (requests.isEcho) return;
    log.write('info', { signal }, requests.asked ? 'Stopping all workers now' : 'Stopping all workers');
    requests.note();
    supervisor.stop();
  };
  const isTerminalGone = createTerminalCheck();
  for (const signal of ['SIGTERM', 'SIGINT', 'SIGQUIT'] as const) process.on(signal, stop);
  process.on('SIGHUP', (signal) => {
    if (isTerminalGone()) return stop(signal);
    log.write('info', { signal }, 'Replacing all workers, one by one');
    supervisor.recycleAll();
  });
  // Whoever read the standard error may have gone.
  process.stderr.on('error', () => {});
  process.on('SIGUSR2', () => {
    const { status } = supervisor;
    log.write('info', { ...status }, 'Status');
    process.stderr.write(`${showStatus(status)}\n`);
  });
  for (const name of unknownSignals) {
    process.on(name, (signal) =>
      log.write('warn', { signal, known: knownSignals }, 'Ignored a signal that means nothing here'),
    );
  }
}

/**
 * Keeps workers until this process is told to stop, then ends it. A parent of workers loads no worker, no broker and no
 * app.
 */
export async function supervise(flags: WorkerFlags, options: SuperviseOptions): Promise<void> {
  const { processes, program, command, env } = options;
  const log = new LineLog();
  const { profile, gracefulTimeout = workerDefaults.gracefulTimeoutMs } = flags;
  const lease = createRedisLease(options.borrowRedis);
  const openHealth = createHealthPort(() => supervisor, log);
  const supervisor: Supervisor = new Supervisor({
    processes,
    gracefulTimeoutMs: gracefulTimeout,
    log,
    create(index) {
      // No two living workers share a slot.
      const slot = flags.slot === undefined ? undefined : `${flags.slot}-${index}`;
      const args = [...command, ...toChildArgs({ ...flags, slot })];
      return createWorkerChild(program, args, env, { profile, output: 'inherit' });
    },
    onSettings({ healthPort, devRedis }) {
      openHealth(flags.healthPort ?? healthPort);
      if (devRedis) lease.take();
    },
  });
  listen(supervisor, log);
  if (flags.healthPort !== undefined) openHealth(flags.healthPort);
  supervisor.start();
  const code = await supervisor.ended;
  await lease.close();
  const maxRssMb = Math.round(process.resourceUsage().maxRSS / 1_024);
  log.write('info', { exitCode: code, maxRssMb }, 'Supervisor stopped');
  process.exit(code);
}
