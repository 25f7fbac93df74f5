import { implement } from 'islet/task';
import { act } from '../../../../hostile/act.ts';
import { ledgered } from '../../ledger.ts';
import fast from '../fast/manifest.ts';
import manifest from './manifest.ts';

/** Throws, returns, logs or enqueues whatever its payload says. */
export default implement(manifest, (payload, run) => ledgered(manifest.name, run, () => act(payload, run, fast)));
