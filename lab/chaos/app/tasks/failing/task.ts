import { setTimeout as sleep } from 'node:timers/promises';
import { implement } from 'islet/task';
import { ledgered } from '../../ledger.ts';
import manifest from './manifest.ts';

/** Throws on its first attempts. */
export default implement(manifest, ({ ms, failures }, run) =>
  ledgered(manifest.name, run, async () => {
    await sleep(ms, undefined, { signal: run.signal });
    if (run.attempt <= failures) throw new Error('fails on purpose');
  }),
);
