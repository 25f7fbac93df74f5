import { isatty } from 'node:tty';
import { defaultProfile } from '../launch-profiles.ts';
import { workerDefaults } from '../manifest/defaults.ts';
import { createLineLog, type LineLog } from '../supervisor/line-log.ts';
import { showStatus } from '../supervisor/status.ts';
import { Supervisor } from '../supervisor/supervisor.ts';
import { createWorkerChild } from '../supervisor/worker-child.ts';
import { toWorkerArgs, type WorkerFlags } from './worker-flags.ts';

/** What is kept, and how it is started. */
export interface SuperviseOptions {
  processes: number;
  /** The file of the workers' program, and what it is given before the flags of a worker. */
  program: string;
  command: readonly string[];
  env: Readonly<Record<string, string | undefined>>;
}

/** Terminals and npm deliver one Ctrl-C twice. */
const sameSignalMs = 1_000;
/** What other servers know, and this one does not. */
const unknownSignals = ['SIGQUIT', 'SIGTTIN', 'SIGTTOU'] as const;
const knownSignals = 'TERM and INT stop, HUP replaces the workers one by one, USR2 shows the status';

/** Opens the health check once it is known where: the flag says it, or the settings that a worker has told. */
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
function createRedisLease(path: string | undefined) {
  let lease: Promise<{ close(): Promise<void> } | undefined> | undefined;
  return {
    take() {
      const attach = async () =>
        (await import('../tools/dev-redis/dev-redis.ts')).attachDevRedis({ root: process.cwd(), path });
      // Its workers say what is wrong with it.
      lease ??= attach().catch(() => undefined);
    },
    close: async () => (await lease)?.close(),
  };
}

/** A terminal that was closed says so by SIGHUP, too. */
function createTerminalCheck(): () => boolean {
  const was = [0, 1, 2].filter((fd) => isatty(fd));
  return () => was.length > 0 && !was.some((fd) => isatty(fd));
}

function listen(supervisor: Supervisor, log: LineLog): void {
  let askedAt: number | undefined;
  const stop = (signal: string) => {
    const now = performance.now();
    if (askedAt !== undefined && now - askedAt < sameSignalMs) return;
    log.write('info', { signal }, askedAt === undefined ? 'Stopping all workers' : 'Stopping all workers now');
    askedAt = now;
    supervisor.stop();
  };
  const isTerminalGone = createTerminalCheck();
  process.on('SIGTERM', stop);
  process.on('SIGINT', stop);
  process.on('SIGHUP', (signal) => {
    if (isTerminalGone()) return stop(signal);
    log.write('info', { signal }, 'Replacing all workers, one by one');
    supervisor.recycleAll();
  });
  // Who read it may have gone.
  process.stderr.on('error', () => {});
  process.on('SIGUSR2', () => {
    const { status } = supervisor;
    log.write('info', { ...status }, 'Status');
    process.stderr.write(`${showStatus(status)}\n`);
  });
  for (const name of unknownSignals) {
    process.on(name, (signal) =>
      log.write('warn', { signal, known: knownSignals }, 'A signal that means nothing here'),
    );
  }
}

/** Keeps workers until it is told to stop, then ends the process. It has loaded no worker, no broker and no app. */
export async function supervise(flags: WorkerFlags, options: SuperviseOptions): Promise<void> {
  const { processes, program, command, env } = options;
  const log = createLineLog();
  const { profile = defaultProfile } = flags;
  const lease = createRedisLease(env.PATH);
  const openHealth = createHealthPort(() => supervisor, log);
  const supervisor: Supervisor = new Supervisor({
    processes,
    gracefulTimeoutMs: flags.gracefulTimeout ?? workerDefaults.gracefulTimeoutMs,
    log,
    create: (index) =>
      createWorkerChild(program, toWorkerArgs(flags, index), env, { command, profile, output: 'inherit' }),
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
