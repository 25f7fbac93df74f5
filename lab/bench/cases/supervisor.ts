import { setTimeout as sleep } from 'node:timers/promises';
import type { Bench, Case, Sample } from '../case.ts';
import type { Contender } from '../contenders/contender.ts';
import { withWorker } from '../run-worker.ts';
import { callMs } from '../sizes.ts';

const worker = 'islet-lean';
const concurrency = 10;
/** How long it takes until all workers take jobs, and the garbage of their starts is collected. */
const settleMs = 4_000;
const recycled = ['--max-age', '5s', '--max-age-variance', '2s'];

/** Shows what a parent and each further worker take, and what it costs to replace the workers again and again. */
export const supervisor: Case = {
  name: 'supervisor',
  title: 'Several workers below a parent, and recycling',
  base: '3',
  metrics: {
    parentRssMb: { label: "parent's RSS", unit: 'MB', better: 'less' },
    pssMb: { label: 'PSS idle, all processes', unit: 'MB', better: 'less' },
    jobsPerSecond: { label: 'jobs/s', unit: '', better: 'more' },
  },
  about: ({ supervisedJobs }) =>
    `built workers, lean, ${concurrency} in flight each; ${supervisedJobs} calls of ${callMs} ms where jobs are run; ` +
    'recycled: each worker is replaced at an age of 5 s, give or take 2 s',
  entries(bench) {
    const contender = bench.contenders.find(({ key }) => key === worker);
    if (contender === undefined) return [];
    const runs: [key: string, name: string, flags: string[], jobs: number][] = [
      ['1', 'a parent with 1 worker', ['--processes', '1'], 0],
      ['2', 'a parent with 2 workers', ['--processes', '2'], 0],
      ['3', 'a parent with 3 workers', ['--processes', '3'], bench.sizes.supervisedJobs],
      ['3-recycled', 'the same, recycled', ['--processes', '3', ...recycled], bench.sizes.supervisedJobs],
    ];
    return runs.map(([key, name, flags, jobs]) => ({
      key,
      name,
      run: () => measure(withFlags(contender, flags), jobs, bench),
    }));
  },
};

function withFlags(contender: Contender, flags: string[]): Contender {
  return {
    ...contender,
    launch(settings) {
      const launch = contender.launch(settings);
      return { ...launch, args: [...launch.args, ...flags] };
    },
  };
}

function measure(contender: Contender, jobs: number, { api }: Bench): Promise<Sample> {
  return withWorker(contender, concurrency, async ({ worker: process, drain }): Promise<Sample> => {
    await sleep(settleMs);
    const idle = { parentRssMb: process.memory('alone').rssMb, pssMb: process.memory().pssMb };
    if (jobs === 0) return idle;
    const url = `${api.origin}/${callMs}`;
    const { seconds } = await drain(
      'call',
      Array.from({ length: jobs }, () => ({ url })),
    );
    const { calls } = await api.take();
    if (calls !== jobs) throw new Error(`${contender.name} made ${calls} calls for ${jobs} jobs.`);
    return { ...idle, jobsPerSecond: jobs / seconds };
  });
}
