import { fileURLToPath } from 'node:url';
import { openAppFolder } from '../app/folder-app.ts';
import { openRedis } from './open-redis.ts';
import { runWorker } from './run-worker.ts';
import type { WorkerFlags } from './worker-flags.ts';

/** Runs a worker of the app in the working directory. */
export async function runFolderWorker(flags: WorkerFlags, path: string | undefined): Promise<void> {
  await runWorker(flags, {
    openApp: () => openAppFolder(process.cwd()),
    unitProgram: fileURLToPath(new URL('./pool-unit.js', import.meta.url)),
    openRedis: (config) => openRedis(config, flags.devRedis === true, path),
  });
}
