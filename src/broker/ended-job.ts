import type { EndedJob, Outcome } from './broker.ts';
import type { FetchedJob } from './bullmq-internals.ts';

/** A payload that is no JSON, as a plain BullMQ producer may have written it, stands for itself. */
function readInput(data: string): unknown {
  try {
    return JSON.parse(data);
  } catch {
    return data;
  }
}

/** What is told of a job that is out of a worker's hands; its payload is parsed when somebody looks at it. */
export function toEnded(queue: string, { id, name, attemptsMade, payloadJson }: FetchedJob): EndedJob {
  return {
    queue,
    task: name,
    jobId: id,
    attempt: attemptsMade + 1,
    get input() {
      return readInput(payloadJson);
    },
  };
}

/** The outcome of a job that is not run, because no delivery can run it. */
export function failUnrun(code: string, causeMessage: string): Outcome {
  return { kind: 'failed', failure: { code, causeName: 'Error', causeMessage, stack: '' } };
}
