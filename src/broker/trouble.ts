/** The same trouble is reported again after so long. */
const quietMs = 60_000;

/** Creates what reports a trouble once per incident, however often it is met: 100 jobs meet the same lost connection. */
export function createTroubleReport(report: (error: Error) => void): (error: unknown) => void {
  const reportedAt = new Map<string, number>();
  return (thrown) => {
    const error = thrown instanceof Error ? thrown : new Error(String(thrown));
    const last = reportedAt.get(error.message) ?? Number.NEGATIVE_INFINITY;
    if (performance.now() - last < quietMs) return;
    reportedAt.clear();
    reportedAt.set(error.message, performance.now());
    report(error);
  };
}
