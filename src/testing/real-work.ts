import { getActiveResourcesInfo } from 'node:process';

/** Counts the resources of each kind that keep this process alive: requests, sockets, processes, timers. */
function countResources(): Map<string, number> {
  const counts = new Map<string, number>();
  for (const kind of getActiveResourcesInfo()) counts.set(kind, (counts.get(kind) ?? 0) + 1);
  // The test kit itself waits for turns of the event loop.
  counts.delete('Immediate');
  return counts;
}

/** Returns what says whether more real work is under way than now, such as a file that is read or a process that runs. */
export function watchRealWork(): () => boolean {
  const before = countResources();
  return () => [...countResources()].some(([kind, count]) => count > (before.get(kind) ?? 0));
}
