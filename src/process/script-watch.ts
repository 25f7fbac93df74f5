const lookMs = 250;

/**
 * Asks this process to stop, as by SIGTERM, when the script of a package manager that has started it is gone. npm passes a
 * signal on to the shell of its script, which dies of it and leaves what it has started behind.
 */
export function stopWithScript(env: Readonly<Record<string, string | undefined>>): void {
  // A process with a channel hears of its parent's end by that.
  if (env.npm_lifecycle_event === undefined || process.channel) return;
  const parent = process.ppid;
  const timer = setInterval(() => {
    // An orphan gets another parent.
    if (process.ppid === parent) return;
    clearInterval(timer);
    process.kill(process.pid, 'SIGTERM');
  }, lookMs);
  // Looking after the parent is no reason to live.
  timer.unref();
}
