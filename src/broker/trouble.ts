import { isConnectionLoss } from './connection.ts';

/** The same trouble is reported again after so long. */
const quietMs = 60_000;
/** Messages may name jobs. */
const mostMessages = 100;

/** Creates what reports a trouble once per incident, however often it is met: 100 jobs meet the same lost connection. */
export function createTroubleReport(report: (error: Error) => void): (error: unknown) => void {
  const reportedAt = new Map<string, number>();
  return (thrown) => {
    // The loss of the connection is told of by the connection.
    if (isConnectionLoss(thrown)) return;
    const error = thrown instanceof Error ? thrown : new Error(String(thrown));
    // Redis names the script and the line, too.
    const what = error.message.replace(/ script: .*/, '');
    const last = reportedAt.get(what) ?? Number.NEGATIVE_INFINITY;
    if (performance.now() - last < quietMs) return;
    if (reportedAt.size >= mostMessages) reportedAt.clear();
    reportedAt.set(what, performance.now());
    report(error);
  };
}
