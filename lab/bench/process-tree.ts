import { readdirSync, readFileSync } from 'node:fs';

const kbPerMb = 1_024;
/** Often enough for a peak that lasts; each look stops the process that is looked at for about a millisecond. */
const lookMs = 200;
/** Linux counts CPU time in hundredths of a second, wherever Node runs. */
const ticksPerSecond = 100;

export interface Memory {
  /** Resident, shared pages counted in each process. */
  readonly rssMb: number;
  /** Resident, shared pages divided by those who share them. */
  readonly pssMb: number;
  /** The most that was ever resident, as the kernel has kept it; of several processes, the sum of their peaks. */
  readonly peakRssMb: number;
  /** Resident and of no file: what a process has for itself, without the text of Node that all of a host share. */
  readonly anonymousMb: number;
}

/** The most that was seen of what the kernel keeps no peak of. */
export interface PrivatePeak {
  readonly anonymousMb: number;
  readonly pssMb: number;
}

/** A process and all that it has started, and that these have. */
export function treeOf(pid: number): number[] {
  const children = new Map<number, number[]>();
  for (const name of readdirSync('/proc')) {
    const parent = /^\d+$/.test(name) ? parentOf(name) : undefined;
    if (parent !== undefined) children.set(parent, [...(children.get(parent) ?? []), Number(name)]);
  }
  const tree = [pid];
  for (const member of tree) tree.push(...(children.get(member) ?? []));
  return tree;
}

export function memoryOf(pids: readonly number[]): Memory {
  const all = pids.map((member) => {
    const rollup = read(member, 'smaps_rollup');
    const kb = (text: string, name: string) => Number(new RegExp(`^${name}:\\s+(\\d+) kB`, 'm').exec(text)?.[1] ?? 0);
    const status = read(member, 'status');
    return {
      rss: kb(rollup, 'Rss'),
      pss: kb(rollup, 'Pss'),
      peak: kb(status, 'VmHWM'),
      anonymous: kb(status, 'RssAnon'),
    };
  });
  const sum = (name: 'rss' | 'pss' | 'peak' | 'anonymous') =>
    all.reduce((total, one) => total + one[name], 0) / kbPerMb;
  return { rssMb: sum('rss'), pssMb: sum('pss'), peakRssMb: sum('peak'), anonymousMb: sum('anonymous') };
}

/** Looks at a tree's memory again and again, until it is asked for the most that it has seen. */
export function watchPrivate(pid: number): () => PrivatePeak {
  let peak: PrivatePeak = { anonymousMb: 0, pssMb: 0 };
  const look = () => {
    const { anonymousMb, pssMb } = memoryOf(treeOf(pid));
    peak = { anonymousMb: Math.max(peak.anonymousMb, anonymousMb), pssMb: Math.max(peak.pssMb, pssMb) };
  };
  look();
  const timer = setInterval(look, lookMs);
  return () => {
    clearInterval(timer);
    look();
    return peak;
  };
}

/** CPU time of the whole tree, the kernel's share included. */
export function cpuSecondsOf(pid: number): number {
  const ticks = treeOf(pid).map((member) => {
    const [user = 0, system = 0] = statOf(read(member, 'stat')).slice(11, 13).map(Number);
    return user + system;
  });
  return ticks.reduce((total, one) => total + one, 0) / ticksPerSecond;
}

function parentOf(pid: string): number | undefined {
  const parent = Number(statOf(read(pid, 'stat'))[1]);
  return Number.isInteger(parent) ? parent : undefined;
}

/** The fields after the program's name, which may hold spaces. */
function statOf(text: string): string[] {
  return text.slice(text.lastIndexOf(')') + 2).split(' ');
}

/** Empty where the process has ended meanwhile. */
function read(pid: number | string, file: string): string {
  try {
    return readFileSync(`/proc/${pid}/${file}`, 'utf8');
  } catch {
    return '';
  }
}
