/** Each report costs Redis a command and an event. */
const intervalMs = 1_000;

export interface Progress {
  report(value: number | object): void;
  flush(): Promise<void>;
}

/** Creates a job's progress: at most one report a second is sent, and the last one before the job's end. */
export function createProgress(send: (value: number | object) => Promise<void>): Progress {
  let sentAt = Number.NEGATIVE_INFINITY;
  let waiting: number | object | undefined;
  let sending: Promise<void> = Promise.resolve();
  const sendNow = (value: number | object) => {
    sentAt = performance.now();
    waiting = undefined;
    // Progress is a courtesy: a job does not fail because Redis missed one.
    sending = send(value).catch(() => {});
  };
  return {
    report(value: number | object) {
      if (performance.now() - sentAt >= intervalMs) sendNow(value);
      else waiting = value;
    },
    async flush() {
      if (waiting !== undefined) sendNow(waiting);
      await sending;
    },
  };
}
