import { once } from 'node:events';
import { createServer, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { Page } from './pages.ts';

export interface SiteStats {
  requests: number;
  inFlight: number;
  peakInFlight: number;
  /** The moment by performance.now(). Undefined until someone asks for a page. */
  firstRequestAt: number | undefined;
}

export interface Site {
  readonly origin: string;
  readonly stats: Readonly<SiteStats>;
  close(): Promise<void>;
}

/** Serves the pages on a free local port, each after the latency, and counts what it is asked for. */
export async function createSite(pages: readonly Page[], latencyMs: number): Promise<Site> {
  const bodies = new Map(pages.map((page) => [page.path, page.html]));
  bodies.set('/', indexOf(pages));
  const stats: SiteStats = { requests: 0, inFlight: 0, peakInFlight: 0, firstRequestAt: undefined };
  const server = createServer((request, response) => {
    count(stats, response);
    // The timer also fires for a client that has gone; ending a closed response does nothing.
    setTimeout(() => answer(response, bodies.get(request.url ?? '/')), latencyMs);
  });
  // This is longer than a pause of the worker: a socket closed just as it is used again would be a failed attempt.
  server.keepAliveTimeout = 60_000;
  server.listen(0, '127.0.0.1', 1024);
  await once(server, 'listening');
  const close = async () => {
    server.closeAllConnections();
    await new Promise<void>((resolve) => server.close(() => resolve()));
  };
  return { origin: `http://127.0.0.1:${(server.address() as AddressInfo).port}`, stats, close };
}

function count(stats: SiteStats, response: ServerResponse): void {
  stats.firstRequestAt ??= performance.now();
  stats.requests += 1;
  stats.inFlight += 1;
  stats.peakInFlight = Math.max(stats.peakInFlight, stats.inFlight);
  response.once('close', () => {
    stats.inFlight -= 1;
  });
}

function answer(response: ServerResponse, body: Buffer | undefined): void {
  const found = body ?? Buffer.from('No such page');
  response.writeHead(body ? 200 : 404, {
    'content-type': body ? 'text/html; charset=utf-8' : 'text/plain; charset=utf-8',
    'content-length': found.byteLength,
  });
  response.end(found);
}

function indexOf(pages: readonly Page[]): Buffer {
  const links = pages.map((page, at) => `<li><a href="${page.path}">page ${at + 1}</a></li>`);
  return Buffer.from(`<!doctype html><title>Index</title><ul>${links.join('\n')}</ul>`);
}
