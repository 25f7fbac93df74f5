// A worker of plain BullMQ, as many applications have one. The first argument says of which major version.
import { Worker as Worker6 } from 'bullmq';
import { Worker as Worker5 } from 'bullmq-5';
import { bullmq } from './place.ts';
import { type Payload, sendWelcome } from './send-welcome.ts';

const [, , by = 'bullmq6'] = process.argv;

interface PlainJob {
  readonly id?: string | undefined;
  readonly name: string;
  readonly data: Payload;
  readonly attemptsMade: number;
}

const run = ({ id = '', data, attemptsMade }: PlainJob) =>
  sendWelcome(data, { jobId: id, attempt: attemptsMade + 1, by });
const options = {
  connection: { url: process.env.REDIS_URL ?? '', maxRetriesPerRequest: null },
  prefix: bullmq.prefix,
  concurrency: 25,
  removeOnComplete: { count: 0 },
};
const worker = by === 'bullmq5' ? new Worker5(bullmq.name, run, options) : new Worker6(bullmq.name, run, options);
worker.on('error', (error) => process.stderr.write(`${error.message}\n`));
await worker.waitUntilReady();
process.stdout.write('Worker ready\n');
process.once('SIGTERM', async () => {
  await worker.close();
  process.exit();
});
