import { execFile } from 'node:child_process';
import { existsSync, mkdirSync, readdirSync, renameSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';

const run = promisify(execFile);
const wanted = ['python3-celery', 'python3-gevent', 'python3-redis', 'python3-requests'];

/**
 * Unpacks Debian's own packages of Celery into a folder, once, without installing anything. Returns the folder. Throws
 * where that is not possible.
 */
export async function unpackCelery(folder: string): Promise<string> {
  if (existsSync(folder)) return folder;
  const work = `${folder}.new`;
  rmSync(work, { recursive: true, force: true });
  try {
    await unpack(work);
    renameSync(join(work, 'root'), folder);
    return folder;
  } catch (error) {
    const said = (error as { stderr?: string }).stderr?.trim() || (error as Error).message;
    throw new Error(`Celery is not installed (Debian: ${wanted.join(' ')}), and cannot be fetched: ${said}`);
  } finally {
    rmSync(work, { recursive: true, force: true });
  }
}

async function unpack(work: string): Promise<void> {
  const plan = await run('apt-get', ['-s', 'install', '--no-install-recommends', ...wanted]);
  const missing = [...plan.stdout.matchAll(/^Inst (\S+)/gm)].map(([, name = '']) => name);
  if (missing.length === 0) throw new Error('apt-get names no package that is missing');
  const archives = join(work, 'archives');
  mkdirSync(archives, { recursive: true });
  await run('apt-get', ['-q', '-o', 'APT::Sandbox::User=root', 'download', ...missing], { cwd: archives });
  for (const file of readdirSync(archives)) await run('dpkg', ['-x', join(archives, file), join(work, 'root')]);
}
