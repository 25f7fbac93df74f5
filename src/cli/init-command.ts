import { relative, resolve } from 'node:path';
import { Command } from 'commander';
import type { Surroundings } from './main.ts';
import { UsageError } from './report-error.ts';

async function init(folder: string | undefined, islet: Surroundings['islet']): Promise<void> {
  if (folder === undefined || folder.trim() === '') {
    throw new UsageError('Name the folder of the new app: islet init my-workers.');
  }
  const { initApp, examplePayload } = await import('../tools/scaffold/init-app.ts');
  const written = await initApp(folder, islet.version);
  const shown = relative(process.cwd(), resolve(folder)) || '.';
  const quoted = /^[\w./-]+$/.test(shown) ? shown : `'${shown}'`;
  const tarball = `islet-${islet.version}.tgz`;
  const next = [
    ...(shown === '.' ? [] : [...(islet.private ? [`mv ${tarball} ${quoted}`] : []), `cd ${quoted}`]),
    islet.private ? `npm install ./${tarball}    # made by "npm pack" in Islet's own folder` : 'npm install',
    'npm test',
    'npm run worker -- --queue mail',
    `npm run enqueue -- send-welcome ${examplePayload} --wait`,
  ];
  const lines = [`Made an app in ${shown}:`, ...written.map((file) => `  ${file}`), '', 'Next:'];
  process.stdout.write(`${[...lines, ...next.map((command) => `  ${command}`)].join('\n')}\n`);
}

/** The command `islet init`. */
export function initCommand({ islet }: Pick<Surroundings, 'islet'>): Command {
  return new Command('init')
    .description('make a new app')
    .argument('[folder]', 'a new or empty folder')
    .action((folder: string | undefined) => init(folder, islet));
}
