// Sends jobs at a steady pace until it is told to stop. Arguments: library, name, first number, count, pause in milliseconds.
import { setTimeout as sleep } from 'node:timers/promises';
import { FlowProducer as Flow6, Queue as Queue6 } from 'bullmq';
import { FlowProducer as Flow5, Queue as Queue5 } from 'bullmq-5';
import { createProducer } from 'islet/producer';
import welcome from './app/tasks/send-welcome/manifest.ts';
import { note } from './ledger.ts';
import { bullmq } from './place.ts';
import { attempts, backoffMs, childOf, jobOf, type Library, type PlannedJob } from './plan.ts';

const [, , library = 'islet', name = '', first = '0', count = '0', pauseMs = '1'] = process.argv;
const redis = process.env.REDIS_URL ?? '';

type Send = (job: PlannedJob) => Promise<unknown>;

const payloadOf = ({ ms, failures }: PlannedJob) => ({ ms, failures });

/** Plain BullMQ: the name of the job is a function's, and its options say how often it is tried. */
function openPlain(by: Library): { send: Send; close(): Promise<unknown> } {
  // What is used here of the two versions has the same types.
  const isOld = by === 'bullmq5';
  const Queue = isOld ? (Queue5 as unknown as typeof Queue6) : Queue6;
  const Flow = isOld ? (Flow5 as unknown as typeof Flow6) : Flow6;
  const options = { connection: { url: redis, maxRetriesPerRequest: null }, prefix: bullmq.prefix };
  const queue = new Queue(bullmq.name, options);
  const flow = new Flow(options);
  const retry = { attempts, backoff: { type: 'fixed', delay: backoffMs } };
  const send: Send = (job) => {
    const opts = { ...retry, jobId: job.id, delay: job.delayMs, lifo: job.kind === 'lifo' };
    if (job.kind !== 'flow') return queue.add('sendWelcome', payloadOf(job), opts);
    const child = { name: 'sendWelcome', queueName: bullmq.name, data: { ms: 5, failures: 0 } };
    const children = [{ ...child, opts: { ...retry, jobId: childOf(job.id) } }];
    return flow.add({ ...child, data: payloadOf(job), opts: { ...retry, jobId: job.id }, children });
  };
  return { send, close: () => Promise.all([queue.close(), flow.close()]) };
}

function openIslet(): { send: Send; close(): Promise<unknown> } {
  const producer = createProducer({ redis });
  const again = ['E_ENQUEUE_UNCERTAIN', 'E_REDIS_UNREACHABLE', 'E_REDIS_NOT_READY'];
  const send: Send = async (job) => {
    for (;;) {
      try {
        return await producer.enqueue(welcome, payloadOf(job), { id: job.id, delayMs: job.delayMs });
      } catch (error) {
        if (!again.includes((error as { code?: string }).code ?? '')) throw error;
        await sleep(100);
      }
    }
  };
  return { send, close: () => producer.close() };
}

const { send, close } = library === 'islet' ? openIslet() : openPlain(library as Library);
let stopped = false;
process.once('SIGTERM', () => {
  stopped = true;
});
process.stdout.write('Producer ready\n');
let index = Number(first);
for (const end = index + Number(count); index < end && !stopped; index++) {
  const job = jobOf(name, index);
  await send(job);
  note('sent', job.id, library);
  if (library !== 'islet' && job.kind === 'flow') note('sent', childOf(job.id), library);
  await sleep(Number(pauseMs));
}
await close();
process.stdout.write(`Sent up to ${index}\n`);
process.exit();
