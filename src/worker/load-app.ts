import type { AppSource } from '../app/app-source.ts';
import type { Log } from '../log.ts';
import type { QueueManifest } from '../manifest/define-queue.ts';
import type { HookCall } from './call-hook.ts';
import { type LoadedHooks, loadHooks, startHooks } from './load-hooks.ts';
import { type LoadedQueue, loadQueue } from './load-queue.ts';
import type { PoolHost } from './pools/unit-handle.ts';
import type { Worker } from './worker.ts';

export interface AppHost {
  app: AppSource;
  config: unknown;
  log: Log;
  pools: PoolHost;
}

/** The code of the queues that this worker runs, and the hooks around it. */
export class LoadedApp {
  /** The queues, and the hooks of each one's jobs, the outermost first. */
  readonly queues: { manifest: QueueManifest; code: LoadedQueue; hooks: LoadedHooks[] }[] = [];
  readonly #host: AppHost;
  /** The hooks of all queues, then those of one each, with the names of the queues that they belong to. */
  readonly #hooks: (LoadedHooks & { queues: string[] })[] = [];
  readonly #closers: (() => Promise<void>)[] = [];

  constructor(host: AppHost) {
    this.#host = host;
  }

  /** Imports the code. Throws what a broken file of the app's throws; `close` closes what was opened until then. */
  async load(names: string[]): Promise<void> {
    const { app, config, log, pools } = this.#host;
    const catalog = await app.manifests();
    const source = app.hooks();
    if (source) this.#hooks.push({ ...(await loadHooks(source, { config, log })), queues: names });
    for (const name of names) {
      const manifest = catalog.queue(name);
      const host = { config, log: log.child({ queue: name }) };
      const queue = await app.findQueue(name);
      const code = await loadQueue(name, queue, host, pools);
      this.#closers.push(() => code.close());
      if (queue.hooks) this.#hooks.push({ ...(await loadHooks(queue.hooks, host)), queues: [name] });
      this.queues.push({ manifest, code, hooks: this.#hooks.filter(({ queues }) => queues.includes(name)) });
    }
  }

  /** Tells the hooks that the worker starts. Throws `E_HOOKS_FAILED`. */
  async tellStart(workers: readonly Worker[], timers: HookCall['timers']): Promise<void> {
    const { log } = this.#host;
    for (const hooks of this.#hooks) {
      const { queues } = hooks;
      const theirs = workers.flatMap(({ queue, bullmq }) => (bullmq && queues.includes(queue) ? [bullmq] : []));
      this.#closers.push(await startHooks(hooks, { queues, workers: theirs }, { log, timers }));
    }
  }

  /**
   * Tells the hooks that the worker has stopped, then closes the code: what was opened last is closed first. All of it is
   * closed before the first error is thrown.
   */
  async close(): Promise<void> {
    const errors: unknown[] = [];
    for (const close of this.#closers.splice(0).reverse()) await close().catch((error) => errors.push(error));
    if (errors.length > 0) throw errors[0];
  }
}
