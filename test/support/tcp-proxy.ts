import { once } from 'node:events';
import { type AddressInfo, createServer, connect as dial, type Socket } from 'node:net';

/** Stands between a worker and its Redis, as a load balancer does. */
export interface TcpProxy {
  /** The URL of Redis, by way of the proxy. */
  readonly url: string;
  /** Drops all connections, and takes new ones without forwarding them, which is not mended for those. */
  mute(): void;
  /** Forwards the connections that come from now on. */
  forward(): void;
  close(): void;
}

export async function startTcpProxy(redisUrl: string): Promise<TcpProxy> {
  const url = new URL(redisUrl);
  const { hostname: host, port } = url;
  const sockets = new Set<Socket>();
  const keep = (socket: Socket) => {
    sockets.add(socket.on('error', () => {}));
    socket.on('close', () => sockets.delete(socket));
  };
  let isMute = false;
  const server = createServer((near) => {
    keep(near);
    if (isMute) return;
    const far = dial({ host, port: Number(port) });
    keep(far);
    near.pipe(far).pipe(near);
  });
  await once(server.listen(0, host), 'listening');
  url.port = String((server.address() as AddressInfo).port);
  const drop = () => {
    for (const socket of sockets) socket.destroy();
  };
  return {
    url: url.href,
    mute() {
      isMute = true;
      drop();
    },
    forward() {
      isMute = false;
    },
    close() {
      drop();
      server.close();
    },
  };
}
