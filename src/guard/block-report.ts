/** The job whose code runs in the main thread. */
export interface RunningJob {
  readonly queue: string;
  readonly task: string;
  readonly jobId: string;
  readonly attempt: number;
}

interface BlockReport {
  readonly job: RunningJob | undefined;
  /** `function (file:line)`, innermost first. */
  readonly stack: readonly string[];
}

const question = 'islet.blockReport';
const maxFrames = 10;
/** How many characters of a frame are read: code that was made at run time may have a name of any length. */
const mostOfFrame = 500;
const nothingKnown: BlockReport = { job: undefined, stack: [] };

/** Lets the guard thread ask this thread what it does. Returns a function that ends this. */
export function answerBlockReports(describeCurrentJob: () => string | undefined): () => void {
  const answer = () => {
    const limit = Error.stackTraceLimit;
    Error.stackTraceLimit = maxFrames + 5;
    const holder: { stack?: unknown } = {};
    Error.captureStackTrace(holder, answer);
    const stack = String(holder.stack);
    Error.stackTraceLimit = limit;
    return JSON.stringify({ job: describeCurrentJob(), stack });
  };
  const symbol = Symbol.for(question);
  Reflect.set(globalThis, symbol, answer);
  return () => {
    if (Reflect.get(globalThis, symbol) === answer) Reflect.deleteProperty(globalThis, symbol);
  };
}

/** Turns V8's `at name (file:///path:1:2)` into `name (/path:1)`; leaves out what waits for the blocking code. */
export function parseStack(stack: string): string[] {
  const frames = stack.split('\n').filter((line) => /^\s+at (?!async )/.test(line));
  // The innermost frame is the question itself.
  return frames.slice(1, maxFrames + 1).map((frame) => {
    const line = frame.length > mostOfFrame ? `${frame.slice(0, mostOfFrame)}...` : frame;
    const [, name = '<anonymous>', file = '', row = ''] =
      /^\s+at (?:(.*) \()?(?:file:\/\/)?(.*):(\d+):\d+\)?$/.exec(line) ?? [];
    return file ? `${name} (${file}:${row})` : line.trim().slice('at '.length);
  });
}

function parseReport(json: string): BlockReport {
  const { job, stack } = JSON.parse(json) as { job?: string; stack: string };
  return { job: job === undefined ? undefined : (JSON.parse(job) as RunningJob), stack: parseStack(stack) };
}

/**
 * Asks the main thread, from another one, what it does. V8 answers in the midst of a busy loop, and right after the
 * return of native code that ignores interrupts. Nothing is paused, so nothing can stay paused.
 */
export async function askMainThread(): Promise<BlockReport> {
  const { Session } = await import('node:inspector');
  const session = new Session();
  session.connectToMainThread();
  const expression = `globalThis[Symbol.for('${question}')]?.()`;
  const answered = new Promise<BlockReport>((resolve) => {
    session.post('Runtime.evaluate', { expression }, (error, answer) => {
      const value: unknown = error ? undefined : answer.result.value;
      resolve(typeof value === 'string' ? parseReport(value) : nothingKnown);
    });
  });
  return answered.finally(() => session.disconnect());
}

/** Finds out what blocks, and tells it once: as soon as it is known, or at the end of the block. */
export class BlockNamer {
  readonly #tell: (report: BlockReport, blockedMs: number) => void;
  #asking: Promise<void> | undefined;
  #report: BlockReport | undefined;
  #told = false;
  /** How long the block had lasted, in milliseconds, at the last call of `name`; 0 before the first call. */
  blockedMs = 0;

  constructor(tell: (report: BlockReport, blockedMs: number) => void) {
    this.#tell = tell;
  }

  name(blockedMs: number): void {
    this.blockedMs = blockedMs;
    this.#asking ??= askMainThread().then((report) => {
      this.#report = report;
    });
    if (this.#report) this.#tellOnce();
  }

  #tellOnce(): void {
    if (!this.#told) this.#tell(this.#report ?? nothingKnown, this.blockedMs);
    this.#told = true;
  }

  /** Returns the job that blocked, if the block was to be named and the job is known. */
  end(): RunningJob | undefined {
    if (this.#asking) this.#tellOnce();
    return this.#report?.job;
  }
}
