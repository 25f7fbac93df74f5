// The API that jobs call, in a process of its own: GET /<milliseconds>[?sent=<Date.now()>] answers after that time.
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';

const page = `<!doctype html><title>A page</title>${'<p><a href="/next">Next</a> and some text.</p>'.repeat(20)}`;
let calls = 0;
let firstAt: number | undefined;
let waits: number[] = [];

const server = createServer((request, response) => {
  const now = Date.now();
  const url = new URL(request.url ?? '/', 'http://localhost');
  calls += 1;
  firstAt ??= now;
  const sent = Number(url.searchParams.get('sent'));
  if (sent > 0) waits.push(now - sent);
  setTimeout(() => response.setHeader('content-type', 'text/html').end(page), Number(url.pathname.slice(1)));
});
// This is longer than any pause of a worker: a socket closed just as it is used again would be a failed call.
server.keepAliveTimeout = 120_000;
server.listen(0, '127.0.0.1', 2_048, () => process.send?.({ port: (server.address() as AddressInfo).port }));

process.on('message', () => {
  process.send?.({ calls, firstAt, waits });
  calls = 0;
  firstAt = undefined;
  waits = [];
});
process.on('disconnect', () => process.exit());
