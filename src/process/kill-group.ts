/**
 * Kills a process that leads a group, and all that it has started, also when the leader itself has ended. What has left the
 * group lives on. Returns false when there is no such group.
 */
export function killGroup(leader: number | undefined): boolean {
  try {
    return leader !== undefined && process.kill(-leader, 'SIGKILL');
  } catch {
    return false;
  }
}

/** Kills this process, and all that it has started if it leads a group. */
export function killSelf(): void {
  if (!killGroup(process.pid)) process.kill(process.pid, 'SIGKILL');
}
