import { once } from 'node:events';
import { createServer } from 'node:http';
import { IsletError } from '../errors.ts';

/** A probe needs no more than this. */
const limits = { maxHeaderSize: 4_096, headersTimeout: 5_000, requestTimeout: 5_000 };

/**
 * Answers `GET /livez` on a port of all interfaces, since probes come from outside of a container: 200 when a worker takes
 * jobs or was asked to stop, 503 when it is starting, or stops by itself and has to be replaced. Throws
 * `E_HEALTH_PORT_REFUSED`.
 */
export async function openLivez(port: number, health: () => 'starting' | 'ok' | 'failed'): Promise<{ close(): void }> {
  const server = createServer(limits, ({ method, url }, response) => {
    const now = method === 'GET' && url === '/livez' ? health() : undefined;
    const status = now === undefined ? 404 : now === 'ok' ? 200 : 503;
    // The probe is done, and its connection would only be kept.
    response.writeHead(status, { 'content-type': 'text/plain', 'cache-control': 'no-store', connection: 'close' });
    response.end(`${now ?? 'not found'}\n`);
  });
  server.maxConnections = 32;
  try {
    server.listen(port);
    await once(server, 'listening');
  } catch (error) {
    const said = (error as Error).message;
    const ways = 'Choose another with --health-port or worker.healthPort, or turn it off with 0.';
    throw new IsletError('E_HEALTH_PORT_REFUSED', `The health check cannot use port ${port}: ${said}. ${ways}`);
  }
  return {
    close() {
      server.close();
      server.closeAllConnections();
    },
  };
}
