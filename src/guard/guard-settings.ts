export interface GuardSettings {
  /** Where Redis is, as a URL. The guard connects only while the event loop is blocked. */
  redis: string;
  /**
   * How long the locks of a blocked event loop are kept, in milliseconds. After that the process is ended by SIGKILL, so
   * that its jobs run elsewhere, and the job whose code blocked is charged with it if it is known. A process with an open
   * inspector is never ended, and its blocks are not named: a breakpoint is one.
   */
  maxBlockMs: number;
  /** How long after a SIGTERM or SIGINT the process may live, in milliseconds, if its event loop is blocked then. */
  stopWithinMs: number;
  /** The process that started this one. When it is gone, this one is asked to stop. */
  parent?: number;
  /** Whether the guard writes log lines, to standard output in the shape of the worker's own. */
  logs: boolean;
  /** The memory of `SharedLines`: log lines that the guard writes when the event loop cannot. */
  lines?: SharedArrayBuffer | undefined;
}

/** What the main thread hands to the guard's. */
export interface GuardThreadData extends GuardSettings {
  memory: SharedArrayBuffer;
}
