import { once } from 'node:events';
import { type AddressInfo, createServer, connect as dial, type Socket } from 'node:net';

/** Stands between a client and its Redis, as a load balancer does. */
export interface TcpProxy {
  /** The URL of Redis, by way of the proxy. */
  readonly url: string;
  /** Drops all connections and refuses new ones, until `forward`. */
  cut(): void;
  /** Drops all connections and takes new ones, which it never forwards, also not after `forward`. */
  mute(): void;
  /** Forwards the connections that come from now on: to the Redis at this URL, if there is one. */
  forward(redisUrl?: string): void;
  /** Keeps what Redis says on all open connections, or on the n-th of them, until the returned function is called. */
  hold(nth?: number): () => void;
  close(): void;
}

export async function startTcpProxy(redisUrl: string): Promise<TcpProxy> {
  const url = new URL(redisUrl);
  let target = url;
  let way: 'forward' | 'cut' | 'mute' = 'forward';
  const sockets = new Set<Socket>();
  const pairs = new Set<{ near: Socket; far: Socket }>();
  const keep = (socket: Socket) => {
    sockets.add(socket);
    socket.on('error', () => {}).on('close', () => sockets.delete(socket));
    return socket;
  };
  const server = createServer((near) => {
    keep(near);
    if (way === 'cut') near.destroy();
    if (way !== 'forward') return;
    const far = keep(dial(Number(target.port), target.hostname));
    near.on('close', () => far.destroy());
    const pair = { near, far };
    pairs.add(pair);
    far.on('close', () => near.destroy() && pairs.delete(pair));
    near.pipe(far).pipe(near);
  });
  await once(server.listen(0, '127.0.0.1'), 'listening');
  const proxied = new URL(redisUrl);
  proxied.hostname = '127.0.0.1';
  proxied.port = String((server.address() as AddressInfo).port);
  const stop = (how: 'cut' | 'mute') => {
    way = how;
    for (const socket of sockets) socket.destroy();
  };
  return {
    url: proxied.href,
    cut: () => stop('cut'),
    mute: () => stop('mute'),
    forward(to = redisUrl) {
      target = new URL(to);
      way = 'forward';
    },
    hold(nth) {
      const held = [...pairs].filter((_, index) => nth === undefined || index === nth);
      for (const { near, far } of held) far.unpipe(near);
      return () => {
        for (const { near, far } of held) far.pipe(near);
      };
    },
    close() {
      stop('cut');
      server.close();
    },
  };
}
