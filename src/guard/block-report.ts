/** The job whose code runs in the main thread. */
export interface RunningJob {
  readonly queue: string;
  readonly task: string;
  readonly jobId: string;
  readonly attempt: number;
}

export interface BlockReport {
  readonly job: RunningJob | undefined;
  /** `function (file:line)`, innermost first. */
  readonly stack: readonly string[];
}

const question = 'islet.blockReport';
const maxFrames = 10;
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
  return frames.slice(1, maxFrames + 1).map((line) => {
    const [, name = '<anonymous>', file = '', row = ''] =
      /^\s+at (?:(.*) \()?(?:file:\/\/)?(.*):(\d+):\d+\)?$/.exec(line) ?? [];
    return file ? `${name} (${file}:${row})` : line.trim().slice('at '.length);
  });
}

function parseReport(json: string): BlockReport {
  const { job, stack } = JSON.parse(json) as { job?: string; stack: string };
  return { job: job === undefined ? undefined : (JSON.parse(job) as RunningJob), stack: parseStack(stack) };
}

export interface Inquiry {
  /** Never settles when the main thread does not come back from native code. */
  readonly answered: Promise<BlockReport>;
  close(): void;
}

/**
 * Asks the main thread, from another one, what it does. V8 answers in the midst of a busy loop, and right after the
 * return of native code that ignores interrupts. Nothing is paused, so nothing can stay paused.
 */
export async function inquire(): Promise<Inquiry> {
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
  return { answered, close: () => session.disconnect() };
}

type Tell = (report: BlockReport, blockedMs: number) => void;

/** Finds out what blocks, and tells it once: as soon as it is known, or at the end of the block. */
export class BlockNamer {
  readonly #tell: Tell;
  readonly #onEnd: Tell;
  #inquiry: Promise<Inquiry> | undefined;
  #report: BlockReport | undefined;
  #told = false;
  #blockedMs = 0;

  /** `onEnd` is called at the end of a block that was told of, with how long it was. */
  constructor(tell: Tell, onEnd: Tell) {
    this.#tell = tell;
    this.#onEnd = onEnd;
  }

  name(blockedMs: number): void {
    this.#blockedMs = blockedMs;
    this.#inquiry ??= this.#ask();
    if (this.#report) this.#tellOnce(this.#report);
  }

  async #ask(): Promise<Inquiry> {
    const asked = await inquire();
    asked.answered.then((report) => {
      this.#report = report;
    });
    return asked;
  }

  #tellOnce(report: BlockReport): void {
    if (!this.#told) this.#tell(report, this.#blockedMs);
    this.#told = true;
  }

  close(): void {
    if (!this.#inquiry) return;
    const report = this.#report ?? nothingKnown;
    this.#tellOnce(report);
    this.#onEnd(report, this.#blockedMs);
    this.#inquiry.then((asked) => asked.close());
  }
}
