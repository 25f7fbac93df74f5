import type { AppSource } from '../app/app-source.ts';
import { type BuiltQueue, openBuiltApp } from '../app/built-app.ts';
import type { IsletConfig } from '../config.ts';
import { createLog } from '../log.ts';
import { deriveJobId } from '../producer/job-id.ts';
import { prepareJob } from '../producer/prepare-job.ts';
import type { UnitOrder } from '../worker/pools/messages.ts';
import { serveUnit } from '../worker/pools/serve-unit.ts';

/** Runs the jobs of one task in a thread or process that a worker has started. */
export async function runUnit(openApp: () => AppSource): Promise<void> {
  const order = JSON.parse(process.argv[2] ?? '') as UnitOrder;
  await serveUnit({
    order,
    // In a thread, this ends the thread alone.
    end: (code) => process.exit(code),
    children: { deriveId: deriveJobId, prepare: prepareJob },
    async open(writeLine) {
      const app = openApp();
      const config = (await app.config()) as IsletConfig;
      return { app, config, log: createLog(config.log.level, { write: writeLine }) };
    },
  });
}

/** Runs the jobs of one task of a built worker: the other program of its folder. */
export function runBuiltUnit(built: BuiltQueue): Promise<void> {
  return runUnit(() => openBuiltApp(built));
}
