import { Command } from 'commander';
import { openAppFolder } from '../app/folder-app.ts';
import type { IsletConfig } from '../config.ts';
import type { QueueManifest } from '../manifest/define-queue.ts';
import { createProducer } from '../producer/create-producer.ts';
import type { Producer, ResultHandle } from '../producer/producer.ts';
import { openRedis } from './open-redis.ts';
import { parseDuration, parseInteger } from './parse-flags.ts';
import { UsageError } from './report-error.ts';
import { flagName, workerFlags } from './worker-flags.ts';

interface EnqueueFlags {
  delay?: number;
  priority?: number;
  id?: string;
  wait?: boolean;
  timeout: number;
  devRedis?: boolean;
}

/** How long a result that somebody waits for is kept, in milliseconds. */
const keepResultMs = 300_000;

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch (cause) {
    const said = (cause as Error).message;
    throw new UsageError(
      `The payload is not JSON: ${said.slice(0, 200)}. Nothing was enqueued. Quote it for the shell: '{"url":"..."}'.`,
    );
  }
}

interface Wait {
  readonly handle: ResultHandle<unknown>;
  readonly queue: QueueManifest;
  readonly timeoutMs: number;
}

async function waitFor(producer: Producer, { handle, queue, timeoutMs }: Wait): Promise<void> {
  if ((await producer.workers(queue)) === 0) {
    process.stderr.write(
      `No worker of queue "${handle.queue}" is running yet. Start one: npm run worker -- --queue ${handle.queue}\n`,
    );
  }
  const result = await handle.result({ timeoutMs });
  process.stdout.write(`${JSON.stringify(result, null, 2) ?? 'null'}\n`);
}

async function enqueue(task: string, json: string, flags: EnqueueFlags, path: string | undefined): Promise<void> {
  const payload = parseJson(json);
  const app = openAppFolder(process.cwd());
  const config = (await app.config()) as IsletConfig;
  const catalog = await app.manifests();
  const manifest = catalog.task(task);
  const redis = await openRedis(config, flags.devRedis === true, path);
  if (redis.notice) process.stderr.write(`${redis.notice}\n`);
  const producer = createProducer({ redis: redis.url, prefix: config.redis.prefix });
  const { delay: delayMs, priority, id } = flags;
  const given = Object.entries({ delayMs, priority, id, keepResultMs: flags.wait ? keepResultMs : undefined });
  const options = Object.fromEntries(given.filter(([, value]) => value !== undefined));
  try {
    const handle = await producer.enqueue(manifest, payload, options);
    const what = handle.accepted ? 'Enqueued job' : 'Not enqueued again: its id stands for job';
    process.stderr.write(`${what} ${handle.id} of task ${handle.task} in queue ${handle.queue}\n`);
    const queue = catalog.queue(manifest.queue);
    const wait = { handle: handle as ResultHandle<unknown>, queue, timeoutMs: flags.timeout };
    if (flags.wait) await waitFor(producer, wait);
  } finally {
    await producer.close();
    await redis.close();
  }
}

/** The longest delay is ten years: it is Redis that waits, not a timer. */
const maxDelayMs = 3_650 * 86_400_000;

/** The command `islet enqueue`. */
export function enqueueCommand({ path }: { path: string | undefined }): Command {
  return new Command('enqueue')
    .description('enqueue one job')
    .argument('<task>', 'the name of a task')
    .argument('<json>', 'its payload as JSON')
    .option('--delay <duration>', 'start the job after this time (60s, 6h)', parseDuration('--delay', maxDelayMs))
    .option('--priority <n>', '1 runs first', parseInteger('--priority', 1, 2_097_151))
    .option('--id <id>', 'an id of your own')
    .option('--wait', 'wait for the result and print it')
    .option('--timeout <duration>', 'how long to wait', parseDuration('--timeout'), 60_000)
    .option(flagName('devRedis'), workerFlags.devRedis.help)
    .action((task: string, json: string, flags: EnqueueFlags) => enqueue(task, json, flags, path));
}
