import type {
  Broker,
  ConsumeOptions,
  Consumer,
  Delivery,
  NewJob,
  Outcome,
  ProducerBroker,
  QueueRef,
} from '../broker/broker.ts';
import { CancelledError, IsletError } from '../errors.ts';
import { JobAbort } from '../job-abort.ts';
import { nameOfQueue } from '../manifest/define-queue.ts';
import { noMeta } from '../manifest/meta.ts';
import { isError, messageOf } from '../thrown.ts';
import { mostUnsettled, tellUnsettled } from '../unsettled.ts';
import type { Clock } from '../worker/clock.ts';
import type { MemoryJob } from './memory-job.ts';
import { MemoryQueue } from './memory-queue.ts';

/** A broker in this process' memory: it keeps the promises of the real one, and goes by a clock that a test may move. */
export interface MemoryBroker extends Broker {
  connectProducer(): ProducerBroker;
  queue(name: string): MemoryQueue;
  /** Resolves when no job of a queue runs, and none may start now. */
  whenQuiet(queue: string): Promise<void>;
}

interface ConsumerReports {
  onStart(): void;
  onSettled(): void;
  onClose(): void;
}

function failUnsettled(jobId: string): Outcome {
  const failure = { code: 'E_INTERNAL', causeName: 'Error', causeMessage: tellUnsettled(jobId), stack: '' };
  return { kind: 'failed', failure };
}

/** Hands out the jobs of one queue. */
class MemoryConsumer implements Consumer {
  readonly #queue: MemoryQueue;
  readonly #options: ConsumeOptions;
  readonly #onStart: () => void;
  readonly #onSettled: () => void;
  readonly #onClose: () => void;
  readonly #running = new Set<MemoryJob>();
  readonly #dropped = new EventTarget();
  #started = false;
  #paused = false;
  #stopped = false;

  constructor(queue: MemoryQueue, options: ConsumeOptions, reports: ConsumerReports) {
    this.#queue = queue;
    this.#options = options;
    this.#onStart = reports.onStart;
    this.#onSettled = reports.onSettled;
    this.#onClose = reports.onClose;
  }

  get running(): number {
    return this.#running.size;
  }

  start(): void {
    this.#started = true;
    this.#onStart();
  }

  /** Takes as many jobs as there is room for. */
  fetch(): void {
    while (this.#started && !this.#paused && !this.#stopped && this.#running.size < this.#options.concurrency) {
      const job = this.#queue.take();
      if (!job) return;
      void this.#deliver(job);
    }
  }

  async isolate(jobId?: string): Promise<void> {
    this.#paused = true;
    const most = jobId === undefined ? 0 : 1;
    while (!this.#stopped && this.#running.size > most) await this.#nextDrop();
  }

  async rejoin(): Promise<void> {
    this.#paused = false;
    this.fetch();
  }

  stop(): void {
    this.#stopped = true;
    this.#dropped.dispatchEvent(new Event('drop'));
  }

  async close(): Promise<void> {
    this.stop();
    while (this.#running.size > 0) await this.#nextDrop();
    this.#onClose();
  }

  #nextDrop(): Promise<void> {
    return new Promise((resolve) => {
      this.#dropped.addEventListener('drop', () => resolve(), { once: true });
    });
  }

  async #deliver(job: MemoryJob): Promise<void> {
    this.#running.add(job);
    const delivery = this.#toDelivery(job);
    const outcome = await this.#run(job, delivery);
    this.#running.delete(job);
    this.#options.onSettled?.(delivery, outcome);
    this.#onSettled();
    this.#dropped.dispatchEvent(new Event('drop'));
  }

  /** Runs a delivery, and keeps how it ended. One that ends without an outcome is counted, and comes again. */
  async #run(job: MemoryJob, delivery: Delivery): Promise<Outcome> {
    const { run, queue, onTrouble } = this.#options;
    try {
      const outcome = job.memory.unsettled < mostUnsettled ? await run(delivery) : failUnsettled(job.id);
      this.#queue.settle(job, outcome, queue.retention);
      return outcome;
    } catch (error) {
      onTrouble(isError(error) ? error : new Error(messageOf(error)));
      job.memory.unsettled += 1;
      this.#queue.settle(job, { kind: 'released', counted: false }, queue.retention);
      return { kind: 'lost' };
    }
  }

  #toDelivery(job: MemoryJob): Delivery {
    const { id, task, version, keepResultMs, enqueuedAt, startedAt = enqueuedAt, meta = noMeta, memory } = job;
    const abort = new JobAbort();
    job.abort = abort;
    if (memory.cancel !== undefined) abort.abort(new CancelledError(id, memory.cancel));
    return {
      queue: this.#options.queue.name,
      jobId: id,
      ...{ task, version, keepResultMs, enqueuedAt, startedAt, meta, abort },
      input: JSON.parse(job.payloadJson),
      memory: { ...memory },
      attempt: job.attemptsMade + 1,
      reportProgress: async (value) => this.#queue.reportProgress(job, value),
      async markStarted() {
        job.memory.started ??= `memory:${job.starts}`;
        return job.memory.started === `memory:${job.starts}`;
      },
    };
  }
}

interface Line {
  queue: MemoryQueue;
  consumers: Set<MemoryConsumer>;
  /** The callbacks of those who wait for the queue to be quiet. */
  quiet: Set<() => void>;
}

/** Opens lines by their queues' names, and moves jobs along them. */
function createLines(clock: Clock) {
  const lines = new Map<string, Line>();
  const move = ({ queue, consumers, quiet }: Line) => {
    for (const consumer of consumers) consumer.fetch();
    if (queue.isReady || [...consumers].some(({ running }) => running > 0)) return;
    for (const resolve of quiet) resolve();
    quiet.clear();
  };
  const lineOf = (name: string): Line => {
    const known = lines.get(name);
    if (known) return known;
    // The code that enqueues goes on first, as with Redis.
    const queue = new MemoryQueue(clock, () => queueMicrotask(() => move(line)));
    const line: Line = { queue, consumers: new Set(), quiet: new Set() };
    lines.set(name, line);
    return line;
  };
  const consume = (options: ConsumeOptions): Consumer => {
    const line = lineOf(options.queue.name);
    const consumer = new MemoryConsumer(line.queue, options, {
      onStart: () => queueMicrotask(() => move(line)),
      onSettled: () => queueMicrotask(() => move(line)),
      onClose: () => line.consumers.delete(consumer),
    });
    line.consumers.add(consumer);
    return consumer;
  };
  return { lines, lineOf, move, consume };
}

type Lines = ReturnType<typeof createLines>;

function connectProducer({ lines, lineOf }: Lines): ProducerBroker {
  let closed = false;
  const closedError = () =>
    new IsletError('E_PRODUCER_CLOSED', 'The producer is closed. Create another one, or close it later.');
  const open = (queue: string | QueueRef): Line => {
    if (closed) throw closedError();
    return lineOf(nameOfQueue(queue));
  };
  return {
    async ready() {
      if (closed) throw closedError();
    },
    add: async (jobs) => jobs.map((job) => open(job.queue).queue.add(job)),
    async findQueues(jobId) {
      if (closed) throw closedError();
      return [...lines].flatMap(([name, { queue }]) => (queue.has(jobId) ? [{ name }] : []));
    },
    cancel: async (queue, jobId, request) => open(queue).queue.cancel(nameOfQueue(queue), jobId, request),
    async findJobs(jobId, queue) {
      if (closed) throw closedError();
      const names = queue === undefined ? [...lines.keys()] : [nameOfQueue(queue)];
      return names.flatMap((name) => lines.get(name)?.queue.read(name, jobId) ?? []);
    },
    awaitResult: async (queue, jobId, ...wait) => open(queue).queue.awaitResult(jobId, ...wait),
    async findPlace(queue, jobId) {
      const line = open(queue);
      return { ...line.queue.findPlace(jobId), workers: line.consumers.size };
    },
    counts: async (queue) => open(queue).queue.counts(),
    workers: async (queue) => open(queue).consumers.size,
    mayBeDone: () => false,
    explain: (error) => (error instanceof IsletError ? error : new IsletError('E_ENQUEUE_REFUSED', String(error))),
    async close() {
      closed = true;
      for (const { queue } of lines.values()) queue.results.close(closedError());
    },
  };
}

/** Creates an empty broker that goes by this clock. */
export function createMemoryBroker(clock: Clock): MemoryBroker {
  const lines = createLines(clock);
  return {
    description: 'memory',
    now: () => clock.now(),
    connectProducer: () => connectProducer(lines),
    queue: (name) => lines.lineOf(name).queue,
    whenQuiet(name) {
      const line = lines.lineOf(name);
      return new Promise((resolve) => {
        line.quiet.add(resolve);
        lines.move(line);
      });
    },
    consume: async (consumeOptions) => lines.consume(consumeOptions),
    async send(jobs: NewJob[]) {
      for (const job of jobs) lines.lineOf(job.queue).queue.add(job);
    },
    exitBy: (epochMs) => epochMs,
    recoverDead: async () => {},
    async close() {},
  };
}
