import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { connect, createServer } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import type { RedisServer } from './find-redis.ts';
import { devRedisPaths, writePrivate } from './state.ts';

/** How long an append-only file may take to load before a start counts as failed. */
const READY_LIMIT_MS = 60_000;

/** Starts redis-server on a loopback port. The password stands in a file, since every user can see arguments. */
export function spawnRedis(root: string, server: RedisServer, port: number, password: string): ChildProcess {
  const { conf } = devRedisPaths(root);
  writePrivate(conf, redisConf(root, port, password));
  return spawn(server.binary, [conf], { env: server.env, stdio: ['ignore', 'inherit', 'inherit'] });
}

/** Waits until Redis answers a PING, which it refuses while it loads its data; false when the child died first. */
export async function redisReady(child: ChildProcess, port: number, password: string): Promise<boolean> {
  const deadline = Date.now() + READY_LIMIT_MS;
  while (Date.now() < deadline) {
    if (hasEnded(child)) return false;
    // If the child has ended meanwhile, another program has the port and gave the answer.
    if ((await pings(port, password)) && !hasEnded(child)) return true;
    await sleep(25);
  }
  return false;
}

/** Stops redis-server with SIGTERM, on which it writes out its append-only file. */
export async function stopRedis(child: ChildProcess, limitMs: number): Promise<void> {
  if (hasEnded(child)) return;
  const ended = once(child, 'exit');
  const force = setTimeout(() => child.kill('SIGKILL'), limitMs);
  child.kill('SIGTERM');
  await ended;
  clearTimeout(force);
}

/** Finds a loopback port that nobody listens on now; somebody may still take it before Redis does. */
export async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  server.close();
  await once(server, 'close');
  return typeof address === 'object' && address !== null ? address.port : 0;
}

/** Says whether a child has ended, or could never be started. */
export function hasEnded(child: ChildProcess): boolean {
  return child.pid === undefined || child.exitCode !== null || child.signalCode !== null;
}

function redisConf(root: string, port: number, password: string): string {
  const { folder, redisLog } = devRedisPaths(root);
  const lines = [
    'bind 127.0.0.1',
    `port ${port}`,
    'protected-mode yes',
    `requirepass ${password}`,
    `dir ${JSON.stringify(folder)}`,
    `logfile ${JSON.stringify(redisLog)}`,
    'appendonly yes',
    'appendfsync everysec',
    'save ""',
    'maxmemory-policy noeviction',
    'daemonize no',
  ];
  return `${lines.join('\n')}\n`;
}

function pings(port: number, password: string): Promise<boolean> {
  return new Promise((resolve) => {
    let answer = '';
    const socket = connect({ host: '127.0.0.1', port }, () => socket.write(`AUTH ${password}\r\nPING\r\n`));
    socket.setTimeout(1_000, () => socket.destroy());
    socket.on('error', () => socket.destroy());
    socket.on('close', () => resolve(answer.includes('+PONG')));
    socket.on('data', (data) => {
      answer += data.toString();
      if (answer.split('\r\n').length > 2) socket.destroy();
    });
  });
}
