import { implement } from 'islet/task';
import { ledgered } from '../../ledger.ts';
import manifest from './manifest.ts';

function block(ms: number): void {
  const until = Date.now() + ms;
  while (Date.now() < until);
}

/** Blocks the event loop. */
export default implement(manifest, ({ ms }, run) => ledgered(manifest.name, run, () => block(ms)));
