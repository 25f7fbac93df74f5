import { setTimeout as sleep } from 'node:timers/promises';
import { implement } from 'islet/task';
import { ledgered } from '../../ledger.ts';
import manifest from './manifest.ts';

export default implement(manifest, ({ ms }, run) =>
  ledgered(manifest.name, run, () => sleep(ms, undefined, { signal: run.signal })),
);
