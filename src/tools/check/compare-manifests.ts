import { join } from 'node:path';
import { findFile, listFolders } from '../../app/app-files.ts';
import { type FoundManifest, findCatalogProblems } from '../../manifest/catalog.ts';
import { findCloseNames, type Named } from './close-names.ts';
import { type App, dataOf, type Manifests } from './import-manifests.ts';
import type { Problem } from './problem.ts';
import { findOption, readSource, toSource } from './source-line.ts';

const isNamed = (found: FoundManifest) => typeof dataOf(found).name === 'string';
const nameOf = (found: FoundManifest) => String(dataOf(found).name);

function nameOwners(found: FoundManifest[]): Named[] {
  return found.filter(isNamed).flatMap((manifest) => {
    const {
      kind,
      name,
      queue,
      formerNames = [],
    } = dataOf(manifest) as Named & { kind: string; formerNames?: string[] };
    const { file } = manifest;
    const owner = `${kind} "${name}"`;
    const former = formerNames.map((each) => ({ name: each, owner, file, option: 'formerNames', queue }));
    return [{ name, owner, file, option: 'name', queue }, ...former];
  });
}

/** Finds queues that no task names. The text of a manifest that cannot be imported counts too: it may name a queue. */
function findUnused(root: string, { tasks, queues, broken }: Manifests) {
  const used = new Set(tasks.map((task) => dataOf(task).queue));
  const texts = broken.map((file) => readSource(root, file));
  const mayBeUsed = (queue: string) => texts.some((text) => new RegExp(`['"\`/]${queue}['"\`/]`).test(text));
  return queues
    .filter((queue) => isNamed(queue) && !used.has(nameOf(queue)) && !mayBeUsed(nameOf(queue)))
    .map((found) => {
      const queue = nameOf(found);
      const message = `Queue "${queue}" has no task: its worker has nothing to do. Give it one, or remove its folder.`;
      return { file: found.file, message, queue, option: 'name' };
    });
}

/** Says what is wrong with the manifests that could be imported, one by one and taken together. */
export function compareManifests({ root, folders }: App, manifests: Manifests): Problem[] {
  const { tasks, queues } = manifests;
  const problemOf =
    (code: string) =>
    (found: { file: string; message: string; option?: string; queue?: string }): Problem => ({
      code,
      queue: found.queue ?? null,
      file: found.file,
      line: (found.option && findOption(root, found.file, found.option)) || null,
      message: found.message,
    });
  // A queue counts as known even if its manifest is broken or misnamed, which is a problem of its own.
  const known = [...folders.queues, ...queues.filter(isNamed).map(nameOf)];
  const close = [tasks, queues].flatMap((all) => findCloseNames(nameOwners(all)));
  return [
    ...findCatalogProblems({ tasks, queues }, known).map(problemOf('E_CATALOG_INVALID')),
    ...close.map(problemOf('E_NAMES_CLOSE')),
    ...findUnused(root, manifests).map(problemOf('E_QUEUE_UNUSED')),
  ];
}

const parts = [
  ['tasks', 'task', 'so nothing enqueues or runs it'],
  ['queues', 'dependencies', 'so no worker loads it'],
  ['queues', 'hooks', 'so no worker loads it'],
] as const;

/** Finds code that no worker can find, because there is no manifest beside it. */
export async function findUnreachable({ root, code, folders }: App): Promise<Problem[]> {
  const found = parts.map(async ([kind, name, so]) =>
    (await listFolders(code, kind)).flatMap((folder): Problem[] => {
      const path = findFile(join(code, kind, folder), name);
      if (path === undefined || folders[kind].includes(folder)) return [];
      const file = toSource(root, path);
      const message = `${file} has no manifest.ts beside it, ${so}. Add one, or remove the folder.`;
      return [{ code: 'E_CATALOG_INVALID', queue: null, file, line: null, message }];
    }),
  );
  return (await Promise.all(found)).flat();
}
