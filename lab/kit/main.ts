import { UsageError } from './options.ts';

class Interrupted extends Error {}

/**
 * Runs a program of the lab on its arguments, and returns the exit code: what the work returns, 130 after a SIGINT or
 * SIGTERM, 2 after a UsageError, and 1 after any other error. An error is one line on stderr. A signal aborts `halt`;
 * the work has to end soon after that, by itself.
 */
export async function runProgram(
  work: (args: readonly string[], halt: AbortController) => Promise<number>,
): Promise<number> {
  const halt = new AbortController();
  const wasInterrupted = () => halt.signal.reason instanceof Interrupted;
  // `on`, not `once`: under npm one Ctrl-C arrives twice, and the second must not cut the cleanup short.
  const interrupt = () => halt.abort(new Interrupted('Interrupted.'));
  process.on('SIGINT', interrupt);
  process.on('SIGTERM', interrupt);
  try {
    const code = await work(process.argv.slice(2), halt);
    return wasInterrupted() ? 130 : code;
  } catch (error) {
    notify(messageOf(error));
    if (error instanceof UsageError) return 2;
    return wasInterrupted() ? 130 : 1;
  } finally {
    process.off('SIGINT', interrupt);
    process.off('SIGTERM', interrupt);
  }
}

/** Tells people how far the program is, on stderr: stdout is for its report. */
export function notify(text: string): void {
  process.stderr.write(`${text}\n`);
}

export function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
