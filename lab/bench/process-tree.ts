import { readdirSync, readFileSync } from 'node:fs';

const kbPerMb = 1_024;
/** This is often enough for a peak that lasts. Each look stops the process for about a millisecond. */
const lookMs = 200;
/** Linux counts CPU time in hundredths of a second, wherever Node runs. */
const ticksPerSecond = 100;

export interface Memory {
  /** Resident memory. Shared pages count in each process. */
  readonly rssMb: number;
  /** Resident memory. Shared pages are divided among the processes that share them. */
  readonly pssMb: number;
  /** The most that was ever resident, as the kernel keeps it. For several processes, this is the sum of their peaks. */
  readonly peakRssMb: number;
  /** Resident memory of no file: what a process has for itself, without the code of Node that all on a host share. */
  readonly anonymousMb: number;
}

/** The most that was seen of the memory of which the kernel keeps no peak. */
export interface PrivatePeak {
  readonly anonymousMb: number;
  readonly pssMb: number;
}

/** Lists a process and all its descendants. */
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

/** Looks at the memory of a process and all its descendants until the result is called, which returns the peaks. */
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

/** Adds up the CPU time of a process and all its descendants, the kernel's share included. */
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

/** Returns the fields after the program's name, which may hold spaces. */
function statOf(text: string): string[] {
  return text.slice(text.lastIndexOf(')') + 2).split(' ');
}

/** Reads a file of a process. Returns nothing when the process has ended meanwhile. */
function read(pid: number | string, file: string): string {
  try {
    return readFileSync(`/proc/${pid}/${file}`, 'utf8');
  } catch {
    return '';
  }
}
