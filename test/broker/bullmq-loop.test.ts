import {
  type Job,
  type JobJson,
  type JobsOptions,
  RedisQueueBackend,
  SpanKind,
  Worker,
  type WorkerListener,
} from 'bullmq';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { PlainBullmq, until } from '../support/plain-bullmq.ts';

/** What a fetch hands to BullMQ's Worker. */
type Next = [json?: JobJson | null, id?: string, limitMs?: number, dueAt?: number];

/** Gives a Worker what the test says, and remembers what the Worker asked for. */
class AskedBackend extends RedisQueueBackend {
  readonly asked: unknown[][] = [];
  readonly next: Next[] = [];
  endWait = (_mark: { member: string; score: number } | null) => {};

  /** Returns the calls of these names. */
  calls(...names: string[]): unknown[][] {
    return this.asked.filter(([name]) => names.includes(String(name)));
  }

  override async moveToActive(token: string, name?: string): Promise<Next> {
    this.asked.push(['moveToActive', token, name]);
    return this.next.shift() ?? [];
  }

  override waitForJob(seconds: number): ReturnType<RedisQueueBackend['waitForJob']> {
    this.asked.push(['waitForJob', seconds]);
    return new Promise((resolve) => {
      this.endWait = resolve;
    });
  }

  override async disconnectBlocking(): Promise<void> {
    this.asked.push(['disconnectBlocking']);
    this.endWait(null);
  }

  override async reconnectBlocking(): Promise<void> {
    this.asked.push(['reconnectBlocking']);
  }

  override async moveStalledJobsToWait(): Promise<string[]> {
    this.asked.push(['moveStalledJobsToWait']);
    return [];
  }

  override async close(force?: boolean): Promise<void> {
    this.asked.push(['close', force]);
  }
}

type AnyJob = Job<unknown, unknown, string>;
type Listener = WorkerListener<unknown, unknown, string>;
type Processing = { job: AnyJob; token: string; mayFetch(): boolean; end(next?: AnyJob): void };

/** Overrides what Islet's subclass overrides. */
class AskedWorker extends Worker<unknown, unknown, string, AskedBackend> {
  readonly made: unknown[][] = [];
  readonly read: unknown[][] = [];
  readonly moved: unknown[][] = [];
  readonly told: string[] = [];
  readonly processing: Processing[] = [];

  override emit<Event extends keyof Listener>(event: Event, ...args: Parameters<Listener[Event]>): boolean {
    this.told.push(event);
    return super.emit(event, ...args);
  }

  /** Lets the loop carry what was fetched, without a Job. */
  protected override createJob(json: JobJson, jobId: string): AnyJob {
    this.made.push([json, jobId]);
    return json as unknown as AnyJob;
  }

  protected override moveToActive(token: string, name?: string) {
    this.moved.push([token, name]);
    return super.moveToActive(token, name);
  }

  protected override nextJobFromJobData(json?: JobJson, jobId?: string, token?: string) {
    this.read.push([json, jobId, token]);
    return super.nextJobFromJobData(json, jobId, token);
  }

  override processJob(job: AnyJob, token: string, mayFetch = () => true): Promise<AnyJob | undefined> {
    return new Promise((end) => this.processing.push({ job, token, mayFetch, end }));
  }

  fetchNow(token: string): Promise<AnyJob> {
    return super.moveToActive(token, this.opts.name);
  }
}

let bull: PlainBullmq;
let worker: AskedWorker;
let backend: AskedBackend;
/** Tells whether the backend has the very options of its Worker. */
let isShared = () => false;

function open(options: object = {}): void {
  const quiet = { skipLockRenewal: true, skipStalledCheck: true, drainDelay: 7 };
  const all = { ...bull.options, ...quiet, ...options };
  worker = new AskedWorker(
    bull.name,
    async () => {},
    all,
    (_name, given) => {
      isShared = () => given === worker.opts;
      return new AskedBackend(...bull.backendParts(given));
    },
  );
  // A loop that meets an error again and again would leave the test no turn.
  worker.on('error', () => void worker.close());
  backend = worker.getBackend();
}

beforeEach(() => {
  bull = new PlainBullmq();
});

afterEach(async () => {
  const closed = worker.close();
  await until(() => {
    for (const { end } of worker.processing) end();
    expect(worker.told).toContain('closed');
  });
  await closed;
  await bull.close();
});

function toJson(id: string, more: Partial<JobJson> = {}): JobJson {
  const json = { id, name: 'send', data: '{}', opts: {}, progress: 0, attemptsMade: 0, timestamp: 1, failedReason: '' };
  return { ...json, ...more } as unknown as JobJson;
}

const fetched = (json: JobJson): Next => [json, json.id, 0, 0];

/** Starts the loop with jobs, and waits until they are processed. */
async function start(...ids: string[]): Promise<void> {
  backend.next.push(...ids.map((id) => fetched(toJson(id))));
  worker.run();
  await until(() => expect(worker.processing.map(({ job }) => job.id)).toEqual(ids));
}

const untilWaiting = (times = 1) => until(() => expect(backend.calls('waitForJob')).toHaveLength(times));

describe('the loop of a Worker', () => {
  test('asks moveToActive of its backend with a token and its name, and waits by waitForJob for drainDelay', async () => {
    open();
    await start();
    await untilWaiting();
    expect(backend.asked[0]).toEqual(['moveToActive', `${worker.id}:0`, 'tester']);
    expect(backend.calls('waitForJob')).toEqual([['waitForJob', 7]]);
    expect(worker.moved[0]).toEqual([`${worker.id}:0`, 'tester']);
  });

  test.each([
    ['null', null],
    ['the mark of a job', { member: '0', score: 0 }],
  ])('asks again when waitForJob brings %s', async (_what, mark) => {
    open();
    await start();
    await untilWaiting();
    const asked = backend.calls('moveToActive').length;
    backend.endWait(mark);
    await untilWaiting(2);
    expect(backend.calls('moveToActive').length).toBeGreaterThan(asked);
  });

  test('waits no longer than until the time that a fetch without a job told', async () => {
    open();
    backend.next.push([null, undefined, 0, Date.now() + 3_000]);
    await start();
    await untilWaiting();
    const [, seconds] = backend.calls('waitForJob')[0] ?? [];
    expect([Number(seconds) > 1, Number(seconds) <= 3]).toEqual([true, true]);
  });

  test('hands what the backend brought to nextJobFromJobData and createJob, and what that makes to processJob', async () => {
    open();
    const json = toJson('one');
    backend.next.push([json, 'one', 0, 0]);
    worker.run();
    await until(() => expect(worker.processing).toHaveLength(1));
    const token = `${worker.id}:0`;
    expect(worker.read.map(([given, ...rest]) => [given === json, ...rest])).toEqual([[true, 'one', token]]);
    expect(worker.made.map(([given, id]) => [given === json, id])).toEqual([[true, 'one']]);
    const { job, token: handed, mayFetch } = worker.processing[0] as Processing;
    expect([job === (json as unknown), handed, job.token, mayFetch()]).toEqual([true, token, token, true]);
    expect(worker.told).toContain('active');
  });

  test('processes next what processJob brings', async () => {
    open();
    await start('one');
    backend.next.push(fetched(toJson('two')));
    const next = await worker.fetchNow('another:1');
    worker.processing[0]?.end(next);
    await until(() => expect(worker.processing).toHaveLength(2));
    const { job, token } = worker.processing[1] as Processing;
    expect([job === next, job.id, token]).toEqual([true, 'two', 'another:1']);
  });

  test('lets no job be fetched with the settling of another while more run than may', async () => {
    open({ concurrency: 2 });
    await start('one', 'two');
    const { mayFetch } = worker.processing[0] as Processing;
    expect(mayFetch()).toBe(true);
    worker.concurrency = 1;
    expect(mayFetch()).toBe(false);
  });

  test('goes on with a job that ends while it waits in waitForJob', async () => {
    open({ concurrency: 2 });
    await start('one');
    await untilWaiting();
    backend.next.push(fetched(toJson('two')));
    worker.processing[0]?.end(await worker.fetchNow(`${worker.id}:0`));
    await until(() => expect(worker.processing).toHaveLength(2));
    expect(backend.calls('waitForJob')).toHaveLength(1);
  });

  test('looks for stalled jobs by moveStalledJobsToWait', async () => {
    open({ skipStalledCheck: false });
    await start();
    await until(() => expect(backend.calls('moveStalledJobsToWait')).toHaveLength(1));
  });

  test('looks for no stalled jobs with skipStalledCheck', async () => {
    open({ stalledInterval: 1 });
    await start();
    for (const times of [1, 2, 3]) {
      await untilWaiting(times);
      backend.endWait(null);
    }
    expect(backend.calls('moveStalledJobsToWait')).toEqual([]);
  });

  test('ends its wait by disconnectBlocking, and waits no more, when it is paused', async () => {
    open();
    await start();
    await untilWaiting();
    await worker.pause();
    const ended = backend.calls('disconnectBlocking', 'reconnectBlocking');
    expect(ended).toEqual([['disconnectBlocking'], ['reconnectBlocking']]);
    expect([worker.isPaused(), backend.calls('waitForJob').length]).toEqual([true, 1]);
  });

  test('ends its wait by disconnectBlocking, and then closes its backend, when it is closed', async () => {
    open();
    await start();
    await untilWaiting();
    const closed = worker.close();
    expect(worker.closing).toBeInstanceOf(Promise);
    await closed;
    expect(backend.calls('disconnectBlocking', 'close')).toEqual([['disconnectBlocking'], ['close', false]]);
  });

  test('is over when its Worker is closed only after its last job', async () => {
    open();
    await start('one');
    const closed = worker.close();
    await until(() => expect(backend.calls('disconnectBlocking')).toHaveLength(1));
    expect(backend.calls('close')).toEqual([]);
    worker.processing[0]?.end();
    await closed;
    expect(backend.calls('close')).toHaveLength(1);
  });
});

describe('a Worker', () => {
  test('shares its options with its backend, so that a name given later is the one that it fetches with', async () => {
    open();
    expect(isShared()).toBe(true);
    worker.opts.name = worker.id;
    await start();
    await untilWaiting();
    expect(backend.asked[0]).toEqual(['moveToActive', `${worker.id}:0`, worker.id]);
  });

  test('tells of everything by its own emit, and of nothing before it was made', async () => {
    open();
    await until(() => expect(worker.told).toEqual(['ready']));
    await start('one');
    await until(() => expect(worker.told).toEqual(['ready', 'active']));
    worker.processing[0]?.end();
    await until(() => expect(worker.told).toEqual(['ready', 'active', 'drained']));
  });

  test('makes the next job of a scheduler from what its loop carries', async () => {
    open();
    const { id = '', name, opts } = await bull.read(await bull.schedule('often'));
    expect(await bull.queue.getDelayedCount()).toBe(0);
    backend.next.push(fetched(toJson(id, { name, opts, repeatJobKey: 'often' })));
    expect((await worker.fetchNow('tester:1')).id).toBe(id);
    expect(await bull.queue.getDelayedCount()).toBe(1);
    expect(worker.told).toContain('active');
  });

  test('drops a job of a scheduler whose next job cannot be made, and tells of an error', async () => {
    open();
    const opts = { repeat: { pattern: 'nonsense' } } as JobsOptions;
    backend.next.push(fetched(toJson('one', { repeatJobKey: 'often', opts })));
    expect(await worker.fetchNow('tester:1')).toBeUndefined();
    expect(worker.told).toContain('error');
    expect(worker.told).not.toContain('active');
  });

  test('traces a function in a span of its kind, operation and queue, below the span that the metadata names', async () => {
    const spans: unknown[][] = [];
    const span = { setAttributes() {}, recordException() {}, addEvent() {}, end: () => spans.push(['end']) };
    open({
      telemetry: {
        tracer: {
          startSpan(name: string, { kind }: { kind: SpanKind }, context: unknown) {
            spans.push([name, kind, context]);
            return { ...span, setSpanOnContext: () => 'inner' };
          },
        },
        contextManager: {
          with: (_context: unknown, run: () => unknown) => run(),
          active: () => 'outer',
          getMetadata: () => '',
          fromMetadata: (_active: unknown, metadata: string) => `from ${metadata}`,
        },
      },
    });
    const ran = await worker.trace(SpanKind.CONSUMER, 'process', worker.name, (given) => given !== undefined, 'far');
    expect(ran).toBe(true);
    expect(spans).toEqual([[`process ${worker.name}`, SpanKind.CONSUMER, 'from far'], ['end']]);
  });
});
