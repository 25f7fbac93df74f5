import { IsletError } from '../errors.ts';
import type { AnyTask } from '../manifest/define-task.ts';
import { type JobMeta, metaLimits, readMeta } from '../manifest/meta.ts';

/** Returns what jobs that are enqueued now carry beside their payload. */
export type MetaSource = () => JobMeta | undefined;

function refuse({ name }: AnyTask, problem: string, options?: ErrorOptions): IsletError {
  const seen = `The \`meta\` of createProducer must return ${metaLimits}, but ${problem}.`;
  return new IsletError('E_ENQUEUE_OPTIONS_INVALID', `${seen} Nothing was enqueued for task "${name}".`, options);
}

/** Calls an app's own code for the meta of a job. Throws `E_ENQUEUE_OPTIONS_INVALID`, whose message shows no value. */
export function currentMeta(source: MetaSource | undefined, manifest: AnyTask): JobMeta | undefined {
  if (!source) return undefined;
  let read: ReturnType<typeof readMeta>;
  try {
    const given = source();
    // A rejection that nobody hears would end the process.
    if (given instanceof Promise) given.catch(() => {});
    read = given === undefined ? {} : readMeta(given);
  } catch (cause) {
    throw refuse(manifest, 'it threw the cause of this error', { cause });
  }
  if (read.problem !== undefined) throw refuse(manifest, read.problem);
  return read.meta;
}
