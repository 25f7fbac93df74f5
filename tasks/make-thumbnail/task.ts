import { randomUUID } from 'node:crypto';
import { rename, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { implement, PermanentError, type TaskContext } from 'islet/task';
import type { Sharp } from 'sharp';
import type { Dependencies } from '../../queues/images/dependencies.ts';
import manifest from './manifest.ts';

export default implement(manifest, async ({ source, name, width }, { deps, signal }: TaskContext<Dependencies>) => {
  const image = deps.sharp(source);
  await image.metadata().catch((cause: Error) => {
    throw new PermanentError(`${source} cannot be read as an image: ${cause.message}`);
  });
  signal.throwIfAborted();
  const target = join(deps.outputFolder, `${name}.webp`);
  const info = await writeImage(image.autoOrient().resize({ width, withoutEnlargement: true }).webp(), target);
  return { file: target, width: info.width, height: info.height, bytes: info.size };
});

/** The file appears whole or not at all, so a job that runs twice does no harm. */
async function writeImage(image: Sharp, target: string) {
  const unfinished = `${target}.${randomUUID()}.tmp`;
  try {
    const info = await image.toFile(unfinished);
    await rename(unfinished, target);
    return info;
  } finally {
    await rm(unfinished, { force: true });
  }
}
