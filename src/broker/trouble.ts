import { isConnectionLoss, isNoPrimary } from './connection.ts';

/** A trouble that was not met for so long is a new one when it is met again. */
const overMs = 60_000;
/** So many messages are remembered: some name jobs, and there is no end of those. */
const mostMessages = 100;

/** Makes an error of what was thrown, also where that cannot be read. */
function toError(thrown: unknown): Error {
  try {
    if (thrown instanceof Error && typeof thrown.message === 'string') return thrown;
    return new Error(String(thrown));
  } catch {
    return new Error('something was thrown that cannot be read');
  }
}

/** Creates a function that reports a trouble once, however often it is met and however long it lasts. */
export function createTroubleReport(report: (error: Error) => void): (error: unknown) => void {
  const metAt = new Map<string, number>();
  return (thrown) => {
    const error = toError(thrown);
    // The connection tells of an outage.
    if (isConnectionLoss(error) || isNoPrimary(error)) return;
    // Redis also names the script and the line.
    const what = error.message.replace(/ script: .*/, '');
    const last = metAt.get(what) ?? Number.NEGATIVE_INFINITY;
    if (metAt.size >= mostMessages) metAt.clear();
    metAt.set(what, performance.now());
    if (performance.now() - last >= overMs) report(error);
  };
}
