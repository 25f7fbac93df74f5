import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readdirSync, readlinkSync } from 'node:fs';
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { createNewApp, type NewApp } from '../support/new-app.ts';
import { openRedisPlace, type RedisPlace } from '../support/redis-place.ts';

let app: NewApp;
let place: RedisPlace;

beforeEach(async () => {
  app = await createNewApp();
  place = openRedisPlace();
});

afterEach(async () => {
  for (const pid of processesIn(app.root)) process.kill(pid, 'SIGKILL');
  await place.close();
  await app.close();
});

/** Lists the processes that run in the app's folder. */
function processesIn(folder: string): number[] {
  const pids = readdirSync('/proc').filter((name) => /^\d+$/.test(name));
  return pids.map(Number).filter((pid) => {
    try {
      return readlinkSync(`/proc/${pid}/cwd`) === folder;
    } catch {
      return false;
    }
  });
}

test.each([
  ['worker', ['--', '--queue', 'mail'], 'Worker ready'],
  ['worker', ['--', '--queue', 'mail', '--processes', '2'], 'Worker ready'],
  ['dev', [], 'Ready in'],
])(
  'npm run %s %j leaves no process behind when npm alone is told to stop',
  async (script, args, ready) => {
    expect((await app.islet(['compile'])).stderr).toBe('');
    const env = { ...process.env, ...place.env, NODE_ENV: undefined, NODE_OPTIONS: undefined, VITEST: undefined };
    const npm = spawn('npm', ['run', script, ...args], { cwd: app.root, env, stdio: ['ignore', 'pipe', 'pipe'] });
    let said = '';
    for (const stream of [npm.stdout, npm.stderr]) stream.setEncoding('utf8').on('data', (text) => (said += text));
    await vi.waitFor(() => expect(said).toContain(ready), { timeout: 30_000, interval: 20 });
    expect(processesIn(app.root).length).toBeGreaterThan(1);
    npm.kill('SIGTERM');
    await once(npm, 'exit');
    await vi.waitFor(() => expect(processesIn(app.root), said).toEqual([]), { timeout: 15_000, interval: 20 });
    if (script === 'worker') expect(said).toContain('"Worker stopped"');
  },
  60_000,
);
