import { setTimeout as sleep } from 'node:timers/promises';
import { implement } from 'islet/task';
import { ledgered } from '../../ledger.ts';
import manifest from './manifest.ts';

/** Throws outside its promise, which ends the process. */
export default implement(manifest, ({ ms }, run) =>
  ledgered(manifest.name, run, () => {
    setTimeout(() => {
      throw new Error('thrown astray');
    }, ms);
    return sleep(60_000, undefined, { signal: run.signal });
  }),
);
