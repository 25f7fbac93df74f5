/** The signals that ask a process to stop: those of process managers, of terminals, and of what restarts at each save. */
export const stopSignals = ['SIGTERM', 'SIGINT', 'SIGHUP', 'SIGQUIT', 'SIGUSR2'] as const;

/** Ignores these signals: terminals send them to a whole group, and others to each process, but the parent decides. */
export function leaveToParent(signals: readonly NodeJS.Signals[]): void {
  for (const signal of signals) process.on(signal, () => {});
}
