import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Arena, Incident } from './faults.ts';
import type { Fleet } from './fleet.ts';
import { parseRuns, readLedger } from './ledger.ts';
import { graceMs } from './limits.ts';
import { readJobs } from './redis-state.ts';
import type { Evidence } from './verdict.ts';
import type { PlannedJob } from './workload.ts';

const kills = ['sigkill', 'worker-kill', 'parent-kill'];

/** Finds the ends that neither a fault nor a stop explains. */
export function crashesOf(
  { deaths, targets }: Fleet,
  incidents: readonly Incident[],
  notify: (text: string) => void,
): Incident[] {
  const killed = new Set(incidents.filter(({ kind }) => kills.includes(kind)).map(({ pid }) => pid));
  return [...deaths, ...targets.flatMap((target) => target.deaths)]
    .filter(({ pid }) => !killed.has(pid))
    .map(({ pid, at, how }) => {
      notify(`Worker ${pid} ended by itself with ${how}.`);
      return { kind: 'crash', pid, from: at, to: at };
    });
}

/** Lists the workers that their parent has replaced. */
export function recyclingOf({ targets }: Fleet): Incident[] {
  const recycled = targets.flatMap((target) => target.recycled);
  return recycled.map(({ pid, at }) => ({ kind: 'recycling', pid, from: at, to: at + graceMs }));
}

/** Lists the stops that were asked for. */
export function restartsOf({ shutdowns }: Fleet): Incident[] {
  return shutdowns.map(({ pid, at, tookMs }) => ({ kind: 'restarts', pid, from: at, to: at + tookMs }));
}

/** Collects what the ledger, Redis and the logs say of a run that is over. */
export async function gatherEvidence(
  jobs: readonly PlannedJob[],
  { redis, fleet, incidents }: Pick<Arena, 'redis' | 'fleet' | 'incidents'>,
  { ledger, logs }: { ledger: string; logs: string },
): Promise<Evidence> {
  const ids = jobs.map(({ id }) => id);
  return {
    jobs,
    runs: parseRuns(readLedger(ledger)),
    ...(await readJobs(redis, ids)),
    incidents,
    shutdowns: fleet.shutdowns,
    named: namedJobs(logs, jobs),
  };
}

/** Finds the blocking jobs of which a worker said more than how they ended. */
function namedJobs(logs: string, jobs: readonly PlannedJob[]): Set<string> {
  const lines = readdirSync(logs)
    .flatMap((file) => readFileSync(join(logs, file), 'utf8').split('\n'))
    .filter((line) => line.includes('"blocking"') && !line.includes('"Job finished"'));
  const blocking = jobs.filter(({ task }) => task === 'blocking').map(({ id }) => id);
  return new Set(blocking.filter((id) => lines.some((line) => line.includes(`"${id}"`))));
}
