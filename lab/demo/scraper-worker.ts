import { defaultProfile, launchProfiles } from '../../src/launch-profiles.ts';
import { Child, describeEnd } from '../kit/child.ts';

export interface ScraperSettings {
  readonly redisUrl: string;
  readonly prefix: string;
  readonly concurrency: number;
}

const shownLines = 10;
const stopLimitMs = 15_000;

/** The worker of the queue "api-scraper" as a process of its own, with what it logs of itself and its jobs. */
export class ScraperWorker {
  /** Resolves when the worker takes jobs; rejects when it ends before that. */
  readonly ready: Promise<void>;
  readonly #child: Child;
  readonly #completed = new Set<string>();
  #peakRssMb: number | null = null;
  #isStopping = false;

  /** Starts the worker; `onDeath` hears of an end that nobody asked for. */
  constructor(settings: ScraperSettings, onDeath: (error: Error) => void) {
    const { flags, env } = launchProfiles[defaultProfile];
    this.#child = new Child({
      program: process.execPath,
      args: [...flags, ...workerArgs(settings)],
      env: { ...env, ...workerEnv(settings) },
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    this.#child.onLine((line) => this.#read(parseFields(line)));
    this.ready = this.#untilReady();
    // Whoever waits sees the rejection; without a waiter it must not end the demo before its cleanup.
    this.ready.catch(() => {});
    void this.#child.closed.then(() => this.#isStopping || onDeath(this.#death()));
  }

  /** How many jobs have a completed attempt in the worker's log. */
  get completed(): number {
    return this.#completed.size;
  }

  /** Is null until the worker has stopped by itself. */
  get peakRssMb(): number | null {
    return this.#peakRssMb;
  }

  /** Lets the worker finish its running jobs, and kills it when that takes too long. */
  async stop(): Promise<void> {
    this.#isStopping = true;
    await this.#child.stop(stopLimitMs);
    await this.#child.closed;
  }

  async #untilReady(): Promise<void> {
    if (await this.#child.says('"msg":"Worker ready"')) return;
    await this.#child.closed;
    throw this.#death();
  }

  #read(fields: Record<string, unknown>): void {
    const { msg, outcome, jobId, maxRssMb } = fields;
    if (msg === 'Job finished' && outcome === 'completed') this.#completed.add(String(jobId));
    if (msg === 'Worker stopped' && typeof maxRssMb === 'number') this.#peakRssMb = maxRssMb;
  }

  #death(): Error {
    const { exitCode: code, signalCode: signal } = this.#child.process;
    const lines = this.#child.output.trimEnd().split('\n').slice(-shownLines).join('\n') || '(none)';
    return new Error(`The worker ended early (${describeEnd({ code, signal })}). Its last lines:\n${lines}`);
  }
}

function workerArgs({ concurrency }: ScraperSettings): string[] {
  return ['bin/islet.js', 'worker', '--queue', 'api-scraper', '--concurrency', String(concurrency)];
}

function workerEnv({ redisUrl, prefix }: ScraperSettings): NodeJS.ProcessEnv {
  return {
    ...process.env,
    REDIS_URL: redisUrl,
    REDIS_PREFIX: prefix,
    // The site stands on 127.0.0.1, which a scraper refuses by default.
    SCRAPER_ALLOW_PRIVATE: 'true',
    LOG_LEVEL: 'info',
  };
}

function parseFields(line: string): Record<string, unknown> {
  try {
    const value: unknown = JSON.parse(line);
    return typeof value === 'object' && value !== null ? { ...value } : {};
  } catch {
    // Some lines are no log lines, such as a warning of Node. There is nothing to count in them.
    return {};
  }
}
