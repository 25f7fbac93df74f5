import { Command } from 'commander';
import { openAppFolder } from '../app/folder-app.ts';
import { connectBroker } from '../broker/bullmq-broker.ts';
import type { IsletConfig } from '../config.ts';
import { createLog, type Log } from '../log.ts';
import { deriveJobId } from '../producer/job-id.ts';
import { prepareJob } from '../producer/prepare-job.ts';
import { bootstrap, type WorkerProcess } from '../worker/bootstrap.ts';
import { openRedis } from './open-redis.ts';
import { parseInteger } from './parse-flags.ts';
import { UsageError } from './report-error.ts';
import { onSignals } from './signals.ts';

interface WorkerFlags {
  queue: string[];
  concurrency?: number;
  devRedis?: boolean;
}

const dayMs = 86_400_000;
const toMb = (bytes: number) => Math.round(bytes / 1_048_576);

function announce(worker: WorkerProcess, log: Log): void {
  const rssMb = toMb(process.memoryUsage.rss());
  log.info({ queues: worker.queues, redis: worker.redis, rssMb }, 'Worker ready');
  if (!process.stdout.isTTY) return;
  const lines = worker.queues.map(
    ({ queue, tasks, concurrency }) => `  ${queue}: ${tasks.join(', ') || 'no tasks'}; ${concurrency} at a time`,
  );
  process.stderr.write(`islet worker on ${worker.redis}, ${rssMb} MB\n${lines.join('\n')}\n`);
}

async function runWorker(flags: WorkerFlags, path: string | undefined): Promise<void> {
  if (flags.queue.length === 0) throw new UsageError('Name a queue: islet worker --queue <name>.');
  const app = openAppFolder(process.cwd());
  const config = (await app.config()) as IsletConfig;
  const catalog = await app.manifests();
  for (const name of flags.queue) catalog.queue(name);
  const log = createLog(config.log.level);
  const redis = await openRedis(config, flags.devRedis === true, path);
  if (redis.notice) process.stderr.write(`${redis.notice}\n`);
  try {
    const worker = await bootstrap({
      app,
      queues: [...new Set(flags.queue)],
      concurrency: flags.concurrency,
      config,
      log,
      connect: () => connectBroker({ redis: redis.url, prefix: config.redis.prefix }),
      children: (broker) => ({
        deriveId: deriveJobId,
        send: (jobs) => broker.send(jobs),
        prepare: (manifest, payload, options) => prepareJob(manifest, payload, { idempotencyMs: dayMs, ...options }),
      }),
    });
    announce(worker, log);
    await onSignals(worker, log);
    log.info({ maxRssMb: Math.round(process.resourceUsage().maxRSS / 1_024) }, 'Worker stopped');
  } finally {
    await redis.close();
  }
}

/** The command `islet worker`. */
export function workerCommand({ path }: { path: string | undefined }): Command {
  return new Command('worker')
    .description("run one queue's jobs in this process (or several queues')")
    .option(
      '--queue <name>',
      'a queue to serve; may be given more than once',
      (name, all: string[]) => [...all, name],
      [],
    )
    .option('--concurrency <n>', 'jobs in flight at most', parseInteger('--concurrency', 1, 10_000))
    .option('--dev-redis', 'without REDIS_URL, use a private Redis of this project (development only)')
    .action((flags: WorkerFlags) => runWorker(flags, path));
}
