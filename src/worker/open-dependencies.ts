import { type AwilixContainer, createContainer, Lifetime } from 'awilix';
import type { ModuleSource } from '../app/app-source.ts';
import { IsletError } from '../errors.ts';
import type { QueueHost, Registrations } from './task-context.ts';

/**
 * Opens a queue's dependencies, every singleton at once: what cannot be opened stops the worker's start. Throws
 * `E_DEPENDENCIES_FAILED`, and then disposes of what was opened.
 */
export async function openDependencies(
  queue: string,
  source: ModuleSource | undefined,
  host: QueueHost,
): Promise<AwilixContainer> {
  const container = createContainer({ strict: true });
  if (!source) return container;
  try {
    const create = await source.load();
    if (typeof create !== 'function') throw new Error('it must export a function by default');
    const registrations: unknown = await create(host);
    if (typeof registrations !== 'object' || registrations === null) {
      const wanted = 'an object of awilix resolvers, such as { http: asValue(client) }';
      throw new IsletError('E_DEPENDENCIES_FAILED', `queues/${queue}/dependencies.ts must return ${wanted}.`);
    }
    container.register(registrations as Registrations);
    for (const [name, resolver] of Object.entries(container.registrations)) {
      if (resolver.lifetime === Lifetime.SINGLETON) await container.resolve(name);
    }
    return container;
  } catch (cause) {
    await container.dispose().catch(() => {});
    if (cause instanceof IsletError) throw cause;
    const where = `The dependencies of queue "${queue}" (${source.file})`;
    const said = cause instanceof Error ? cause.message : String(cause);
    throw new IsletError('E_DEPENDENCIES_FAILED', `${where} could not be opened: ${said}`, { cause });
  }
}
