import { setTimeout as sleep } from 'node:timers/promises';
import { implement } from 'islet/task';
import { ledgered } from '../../ledger.ts';
import manifest from './manifest.ts';

/** Ignores its signal. */
export default implement(manifest, ({ ms }, run) => ledgered(manifest.name, run, () => sleep(ms)));
