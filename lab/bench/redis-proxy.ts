import { once } from 'node:events';
import { type AddressInfo, connect, createServer, type Socket } from 'node:net';

/** The traffic between a worker and Redis so far. */
export interface Traffic {
  readonly commands: number;
  /** Bytes to Redis. */
  readonly bytesIn: number;
  /** Bytes from Redis. */
  readonly bytesOut: number;
}

export interface RedisProxy {
  readonly url: string;
  traffic(): Traffic;
  close(): Promise<void>;
}

/**
 * Opens a proxy between one worker and its Redis that counts. Redis' own counters cannot tell the worker's commands
 * from those of a script, nor from the benchmark's.
 */
export async function openRedisProxy(redisUrl: string): Promise<RedisProxy> {
  const url = new URL(redisUrl);
  const target = { host: url.hostname, port: Number(url.port) };
  const seen = { commands: 0, bytesIn: 0, bytesOut: 0 };
  const sockets = new Set<Socket>();
  const server = createServer((client) => {
    const upstream = connect(target);
    const countCommands = createCommandCounter();
    for (const socket of [client, upstream]) {
      sockets.add(socket.setNoDelay(true));
      socket.on('error', () => {});
      socket.on('close', () => {
        sockets.delete(socket);
        client.destroy();
        upstream.destroy();
      });
    }
    client.on('data', (data) => {
      seen.bytesIn += data.length;
      seen.commands += countCommands(data);
      upstream.write(data);
    });
    upstream.on('data', (data) => {
      seen.bytesOut += data.length;
      client.write(data);
    });
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  url.port = String((server.address() as AddressInfo).port);
  return {
    url: url.href,
    traffic: () => ({ ...seen }),
    async close() {
      for (const socket of sockets) socket.destroy();
      server.close();
      await once(server, 'close');
    },
  };
}

const newline = 0x0a;

/** Creates a counter of commands in what a client writes: arrays of strings, which the network cuts anywhere. */
export function createCommandCounter(): (data: Buffer) => number {
  let header = '';
  let strings = 0;
  /** How many bytes of a string and of its line end are still to come. */
  let skip = 0;
  return (data) => {
    let commands = 0;
    for (let at = 0; at < data.length; ) {
      if (skip > 0) {
        const step = Math.min(skip, data.length - at);
        skip -= step;
        at += step;
        continue;
      }
      const end = data.indexOf(newline, at);
      header += data.toString('latin1', at, end === -1 ? data.length : end);
      if (end === -1) return commands;
      at = end + 1;
      const size = Number(header.slice(1));
      if (header.startsWith('*')) {
        strings = size;
        commands += 1;
      } else if (header.startsWith('$') && strings > 0) {
        strings -= 1;
        skip = size + 2;
      }
      header = '';
    }
    return commands;
  };
}
