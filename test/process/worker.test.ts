import { mkdtempSync, rmSync } from 'node:fs';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Job } from 'bullmq';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { fixtureApp, type IsletProcess, killAll, repository, startIslet } from '../support/islet-process.ts';
import { openRedisPlace, type RedisPlace } from '../support/redis-place.ts';

const behaviours = fixtureApp('behaviours');
const secret = 'hunter2-and-more';

let place: RedisPlace;

beforeEach(() => {
  place = openRedisPlace();
});

afterEach(async () => {
  await killAll();
  await place.close();
});

describe('the worker of api-scraper', () => {
  const url = (site: Server) => `http://127.0.0.1:${(site.address() as AddressInfo).port}/`;
  let site: Server;
  let folder: string;

  beforeEach(async () => {
    folder = mkdtempSync(join(tmpdir(), 'islet-files-'));
    site = createServer((_, response) => {
      response.setHeader('content-type', 'text/html').end('<title>A page</title><a href="/next">next</a>');
    });
    await new Promise<void>((listening) => site.listen(0, '127.0.0.1', listening));
  });

  afterEach(async () => {
    site.closeAllConnections();
    await new Promise((closed) => site.close(closed));
    rmSync(folder, { recursive: true, force: true });
  });

  test("loads no other queue's libraries, and the rare task's own only for its first job", async () => {
    const worker = startIslet(['worker', '--queue', 'api-scraper'], {
      cwd: repository,
      env: { ...place.env, FILES_FOLDER: folder, SCRAPER_ALLOW_PRIVATE: 'true' },
      probe: true,
    });
    await worker.line({ msg: 'Worker ready' });
    const queue = place.queue('api-scraper');
    const scraped = await queue.add('scrape-page', { url: url(site) });
    await worker.outcome(scraped.id, 'completed');
    const before = countPackages(await worker.loadedScripts());
    const exported = await queue.add('export-links', { url: url(site), file: 'links' });
    await worker.outcome(exported.id, 'completed');
    const after = countPackages(await worker.loadedScripts());

    expect(before).toMatchObject({ sharp: 0, pdfkit: 0, mathjs: 0, exceljs: 0 });
    // This shows that the probe sees packages at all, both ESM and CommonJS.
    expect(before).toMatchObject({ bullmq: expect.toSatisfy(positive), htmlparser2: expect.toSatisfy(positive) });
    expect(after).toMatchObject({ sharp: 0, pdfkit: 0, mathjs: 0, exceljs: expect.toSatisfy(positive) });
    expect(await worker.stop()).toEqual({ code: 0, signal: null });
  });
});

test('starts and works, while another queue of the app has dependencies that throw at import', async () => {
  const worker = await startWorker('main');
  const job = await act('finish');
  await worker.outcome(job.id, 'completed');
});

test('refuses to start and names the file, when the dependencies throw at import', async () => {
  const worker = start('broken');
  expect(await worker.exited).toEqual({ code: 1, signal: null });
  expect(worker.stderr()).toMatch(/^E_DEPENDENCIES_FAILED: .*queues\/broken\/dependencies\.(js|ts).*no such library/);
  expect(worker.lines({ msg: 'Worker ready' })).toEqual([]);
});

test("disposes of the first queue's dependencies, when those of the second throw at import", async () => {
  const worker = startIslet(['worker', '--queue', 'main', '--queue', 'broken'], { cwd: behaviours, env: place.env });
  expect(await worker.exited).toEqual({ code: 1, signal: null });
  expect(worker.lines({ msg: 'Dependencies disposed' })).toHaveLength(1);
});

test('runs a job of a plain BullMQ queue like any other, also one that was added before its start', async () => {
  const early = await act('finish');
  const worker = await startWorker('main');
  const late = await act('finish');
  await worker.outcome(early.id, 'completed');
  await worker.outcome(late.id, 'completed');
  await emptied('main');
  expect(await place.queue('main').getJobCounts('failed', 'completed')).toEqual({ failed: 0, completed: 0 });
});

test.each(['SIGTERM', 'SIGINT'] as const)(
  'finishes the running job, disposes of the dependencies and exits with 0, on %s',
  async (signal) => {
    const worker = await startWorker('main');
    const job = await act('wait');
    await worker.line({ msg: 'Acting', jobId: job.id });
    worker.kill(signal);
    await worker.line({ msg: 'Draining' });
    const waiting = await act('finish');
    expect(await worker.exited).toEqual({ code: 0, signal: null });
    expect(worker.lines({ jobId: job.id, outcome: 'completed' })).toHaveLength(1);
    expect(worker.lines({ msg: 'Dependencies disposed' })).toHaveLength(1);
    expect(await waiting.getState()).toBe('waiting');
    expect(await place.queue('main').getJobCounts('active', 'failed')).toEqual({ active: 0, failed: 0 });
  },
);

test('drains once, when SIGTERM comes twice', async () => {
  const worker = await startWorker('main');
  const job = await act('wait');
  await worker.line({ msg: 'Acting', jobId: job.id });
  worker.kill('SIGTERM');
  await worker.line({ msg: 'Draining' });
  expect(await worker.stop()).toEqual({ code: 0, signal: null });
  expect(worker.lines({ jobId: job.id, outcome: 'completed' })).toHaveLength(1);
});

test('fails the job whose rejection escaped, and no other', async () => {
  const worker = await startWorker('main', { HOLD_MS: '1000' });
  const neighbour = await act('hold');
  await worker.line({ msg: 'Acting', jobId: neighbour.id });
  const stray = await act('reject-astray');
  await worker.outcome(stray.id, 'failed');
  await worker.outcome(neighbour.id, 'completed');
  const next = await act('finish');
  await worker.outcome(next.id, 'completed');
  expect(await failedReason(stray)).toContain('rejected astray');
});

test('aborts the signal of a job whose rejection escaped, so that a stop need not wait for its code', async () => {
  const worker = await startWorker('main');
  const stray = await act('reject-astray');
  await worker.outcome(stray.id, 'failed');
  expect(await worker.stop(5_000)).toEqual({ code: 0, signal: null });
});

test('fails the job whose exception escaped, gives the others back and exits with 1', async () => {
  const worker = await startWorker('main', { HOLD_MS: '20000' });
  const neighbours = await Promise.all([act('hold'), act('hold')]);
  for (const { id } of neighbours) await worker.line({ msg: 'Acting', jobId: id });
  const stray = await act('throw-astray');
  expect(await worker.exited).toEqual({ code: 1, signal: null });
  expect(await failedReason(stray)).toContain('thrown astray');
  expect(await Promise.all(neighbours.map((job) => job.getState()))).toEqual(['waiting', 'waiting']);

  const second = await startWorker('main', { HOLD_MS: '0' });
  for (const { id } of neighbours) {
    const line = await second.outcome(id, 'completed');
    expect(line.attempt).toBe(1);
  }
  expect(second.lines({ jobId: stray.id })).toEqual([]);
});

test('fails a payload that its schema refuses at once, and keeps it with its reason', async () => {
  const worker = await startWorker('main');
  const job = await place.queue('main').add('act-twice', { behaviour: 42 });
  await worker.outcome(job.id, 'failed');
  expect(await failedReason(job)).toMatch(/E_PAYLOAD_INVALID.*behaviour.*42/);
  expect(worker.lines({ msg: 'Job finished', jobId: job.id })).toHaveLength(1);
});

test.each(['no-such-task', '__proto__', 'constructor'])(
  'postpones a job of the unknown task %s, and fails it at the deadline',
  async (name) => {
    const worker = await startWorker('main', { WORKER_UNKNOWN_TASK_DEADLINE: '1s' });
    const job = await place.queue('main').add(name, {});
    await worker.outcome(job.id, 'postponed');
    await worker.outcome(job.id, 'failed');
    expect(await failedReason(job)).toContain('E_TASK_UNKNOWN');
  },
);

describe('a redacted value', () => {
  test.each(['fail-with-secret', 'reject-astray-with-secret', 'throw-astray-with-secret'])(
    'appears in no log line and no failed reason, on %s',
    async (behaviour) => {
      const worker = await startWorker('main');
      const job = await act(behaviour, { secret });
      await worker.outcome(job.id, 'failed');
      await expectSecretKept(worker, job);
    },
  );

  test('is hidden in a field that the task itself logs', async () => {
    const worker = await startWorker('main');
    const job = await act('log-secret', { secret });
    await worker.outcome(job.id, 'completed');
    expect(worker.stdout()).not.toContain(secret);
  });

  test('appears in no log line and no failed reason, when the payload is refused', async () => {
    const worker = await startWorker('main');
    const job = await act('finish', { secret: { inside: secret } });
    await worker.outcome(job.id, 'failed');
    expect(await failedReason(job)).toContain('`secret`');
    await expectSecretKept(worker, job);
  });
});

test('fails a job whose result JSON cannot carry', async () => {
  const worker = await startWorker('main');
  const job = await act('return-bigint');
  await worker.outcome(job.id, 'failed');
  expect(await failedReason(job)).toMatch(/E_RESULT_INVALID.*amount.*bigint/);
});

test('aborts the signal at timeoutMs, and the job fails', async () => {
  const worker = await startWorker('main');
  const job = await act('wait-for-abort');
  await worker.outcome(job.id, 'failed');
  expect(worker.lines({ msg: 'Signal aborted', jobId: job.id, reason: 'E_TASK_TIMEOUT' })).toHaveLength(1);
  expect(await failedReason(job)).toContain('E_TASK_TIMEOUT');
});

test('fails a job at timeoutMs and abandonAfterMs, when its code ignores the signal', async () => {
  const worker = await startWorker('main');
  const job = await act('ignore-abort');
  const line = await worker.outcome(job.id, 'failed');
  expect(line.durationMs).toBeGreaterThanOrEqual(3_400);
  expect(await failedReason(job)).toContain('E_TASK_TIMEOUT');
});

test('completes at the second attempt, after the backoff', async () => {
  const worker = await startWorker('main');
  const job = await place.queue('main').add('act-twice', { behaviour: 'fail-first' });
  const first = await worker.outcome(job.id, 'retry');
  const second = await worker.outcome(job.id, 'completed');
  expect([first.attempt, second.attempt]).toEqual([1, 2]);
  expect(Date.parse(String(second.time)) - Date.parse(String(first.time))).toBeGreaterThanOrEqual(290);
});

test('does not fan out twice, when a task fails after it enqueued', async () => {
  const worker = await startWorker('main');
  const job = await place.queue('main').add('act-twice', { behaviour: 'fan-out' });
  await worker.outcome(job.id, 'completed');
  const children = await place.queue('children').getJobs(['waiting', 'active', 'delayed', 'failed', 'completed']);
  expect(children.map(({ data }) => data.number).sort()).toEqual([1, 2]);
});

function start(queue: string, env: Record<string, string> = {}): IsletProcess {
  return startIslet(['worker', '--queue', queue], { cwd: behaviours, env: { ...place.env, ...env } });
}

async function startWorker(queue: string, env: Record<string, string> = {}): Promise<IsletProcess> {
  const worker = start(queue, env);
  await worker.line({ msg: 'Worker ready' });
  return worker;
}

/** Adds a job of the task whose payload picks its behaviour, without any code of Islet. */
function act(behaviour: string, more: object = {}): Promise<Job> {
  return place.queue('main').add('act', { behaviour, ...more });
}

/** The log line is written before the job is settled in Redis. */
async function failedReason(job: Job): Promise<string> {
  return vi.waitFor(async () => {
    expect(await job.getState()).toBe('failed');
    const kept = await place.queue('main').getJob(String(job.id));
    return String(kept?.failedReason);
  });
}

async function emptied(queue: string): Promise<void> {
  const left = () => place.queue(queue).getJobCountByTypes('waiting', 'active', 'delayed');
  await vi.waitFor(async () => expect(await left()).toBe(0));
}

async function expectSecretKept(worker: IsletProcess, job: Job): Promise<void> {
  const reason = await failedReason(job);
  const kept = await place.queue('main').getJob(String(job.id));
  await worker.stop().catch(() => {});
  expect(reason).not.toContain(secret);
  expect(kept?.stacktrace?.join('\n')).not.toContain(secret);
  expect(worker.stdout() + worker.stderr()).not.toContain(secret);
}

const positive = (count: number) => count > 0;

function countPackages(urls: string[]): Record<string, number> {
  const names = ['sharp', 'pdfkit', 'mathjs', 'exceljs', 'bullmq', 'htmlparser2'];
  const count = (name: string) => urls.filter((url) => url.includes(`/node_modules/${name}/`)).length;
  return Object.fromEntries(names.map((name) => [name, count(name)]));
}
