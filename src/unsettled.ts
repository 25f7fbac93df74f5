/** So often may a delivery of a job end without an outcome although its worker lives. */
export const mostUnsettled = 3;

/** Describes a job that is not delivered any more, because no outcome ever comes of that. */
export function tellUnsettled(jobId: string): string {
  const seen = `${mostUnsettled} deliveries of job "${jobId}" ended without an outcome, although their workers live`;
  return `${seen}: Islet itself failed. See the log of the workers, and please report it.`;
}
