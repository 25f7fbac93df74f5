import { once } from 'node:events';
import { createServer, type RequestListener } from 'node:http';
import type { AddressInfo } from 'node:net';
import { PermanentError } from 'islet/task';
import { runTask } from 'islet/testing';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { createHttpClient, type HttpClient, type HttpClientOptions } from '../../queues/api-scraper/http-client.ts';
import { isPrivateAddress } from '../../queues/api-scraper/private-address.ts';
import { createScrape } from '../../queues/api-scraper/scrape.ts';
import task from './task.ts';

const PAGE = `<!doctype html><html><head><title> Grüße &amp;
  more </title><style>p { color: red }</style></head><body><p>Hello</p><script>var a = '<a href="/no">';</script>
  <a href="/one#top">1</a><a href="/one">again</a><a href="two">2</a><a href="mailto:a@b.c">mail</a>
  <a href="https://example.com/">out</a><svg><title>icon</title></svg></body></html>`;

let server: TestServer;
let clients: HttpClient[];

beforeEach(async () => {
  clients = [];
  server = await startTestServer((request, response) => {
    const url = new URL(request.url ?? '/', 'http://test');
    const html = { 'content-type': 'text/html; charset=utf-8' };
    const location = url.searchParams.get('to') ?? undefined;
    if (url.pathname === '/page') response.writeHead(200, html).end(PAGE);
    else if (url.pathname === '/many') response.writeHead(200, html).end(manyLinks());
    else if (url.pathname === '/redirect') response.writeHead(302, location ? { location } : {}).end();
    else if (url.pathname === '/loop') response.writeHead(302, { location: '/loop', 'content-length': 0 }).end();
    else if (url.pathname === '/json') response.writeHead(200, { 'content-type': 'application/json' }).end('{}');
    else if (url.pathname === '/latin')
      response.writeHead(200, latin).end(Buffer.from('<title>Gr\xfc\xdfe</title>', 'latin1'));
    else if (url.pathname === '/declared') response.writeHead(200, { ...html, 'content-length': 9_999 }).write('<p>');
    else if (url.pathname === '/endless') endless(response.writeHead(200, html));
    else if (url.pathname === '/half') response.writeHead(200, html).write('<p>half');
    else if (url.pathname !== '/silent') response.writeHead(Number(url.pathname.slice(1)), html).end('sorry');
  });
});

afterEach(async () => {
  for (const client of clients) client.close();
  await server.close();
});

const latin = { 'content-type': 'text/html; charset=iso-8859-1' };

function manyLinks(): string {
  return Array.from({ length: 150 }, (_, index) => `<a href="/${index}">`).join('');
}

function endless(response: NodeJS.WritableStream): void {
  const more = () => {
    while (response.writable && response.write('x'.repeat(1_024)));
  };
  response.on('drain', more);
  more();
}

function client(options: Partial<HttpClientOptions> = {}): HttpClient {
  const created = createHttpClient({ refuses: () => false, maxBodyBytes: 4_096, maxRedirects: 2, ...options });
  clients.push(created);
  return created;
}

function scrape(url: string, http = client()) {
  return runTask(task, { url }, { deps: { http, scrape: createScrape(http), outputFolder: '' } });
}

async function failure(url: string, http?: HttpClient): Promise<string> {
  const outcome = await scrape(url, http);
  if (outcome.kind !== 'failed') throw new Error(`Expected "failed", got ${JSON.stringify(outcome)}`);
  return String(outcome.error.message);
}

describe('a page', () => {
  test('gives its title, links and length of text', async () => {
    const links = [`${server.url}/one`, `${server.url}/two`, 'https://example.com/'];
    const result = { url: `${server.url}/page`, status: 200, title: 'Grüße & more', links };
    expect(await scrape(`${server.url}/page`)).toMatchObject({ kind: 'completed', result });
  });

  test('gives at most 100 links', async () => {
    const outcome = await scrape(`${server.url}/many`);
    expect(outcome.kind === 'completed' && outcome.result.links.length).toBe(100);
  });

  test('is decoded by the charset that the server names', async () => {
    expect(await scrape(`${server.url}/latin`)).toMatchObject({ result: { title: 'Grüße', textLength: 5 } });
  });

  test('is found behind a redirect, and reported under its final URL', async () => {
    expect(await scrape(`${server.url}/redirect?to=/page`)).toMatchObject({ result: { url: `${server.url}/page` } });
  });

  test('shares a few connections with the pages after it, whatever the server answers', async () => {
    const http = client();
    const paths = Array.from({ length: 10 }, () => ['/page', '/500', '/redirect?to=/page', '/json', '/404']).flat();
    for (const path of paths) await scrape(server.url + path, http);
    expect(server.connections()).toBeLessThanOrEqual(3);
  });
});

describe('fails at once', () => {
  test.each([400, 404, 410])('on status %i', async (status) => {
    expect(await failure(`${server.url}/${status}`)).toContain(`answered ${status}`);
  });

  test('on another content type', async () => {
    expect(await failure(`${server.url}/json`)).toContain('is application/json, not HTML');
  });

  test.each(['/declared', '/endless'])('on a body that is too large: %s', async (path) => {
    expect(await failure(server.url + path)).toContain('larger than 4096 bytes');
  });

  test('on too many redirects, a redirect to nowhere and one to another protocol', async () => {
    expect(await failure(`${server.url}/loop`)).toContain('redirects over 2 times');
    expect(await failure(`${server.url}/redirect`)).toContain('without saying where to');
    expect(await failure(`${server.url}/redirect?to=file:///etc/passwd`)).toContain('Only http and https');
  });

  test('on a URL of another protocol, which the payload schema refuses', async () => {
    expect((await scrape('ftp://example.com/')).kind).toBe('failed');
  });
});

describe('tries again', () => {
  test.each([408, 425, 429, 500, 503])('on status %i', async (status) => {
    expect(await scrape(`${server.url}/${status}`)).toMatchObject({ kind: 'retry' });
  });

  test('on a refused connection', async () => {
    await server.close();
    expect(await scrape(`${server.url}/page`)).toMatchObject({ kind: 'retry' });
  });
});

describe('a private address is refused', () => {
  const guarded = () => client({ refuses: isPrivateAddress });

  test.each(['127.0.0.1', '2130706433', '0x7f.1', '10.1.2.3', '172.31.0.1', '192.168.0.1', '169.254.169.254', '[::1]'])(
    'as the literal %s',
    async (host) => {
      expect(await failure(`http://${host}/`, guarded())).toContain('is a private address');
    },
  );

  test.each([
    '[::ffff:127.0.0.1]',
    '[::ffff:a00:1]',
    '[::]',
    '[fd00::1]',
    '[fe80::1]',
    '[ff02::1]',
    '[64:ff9b::7f00:1]',
  ])('as the IPv6 literal %s', async (host) => {
    const http = guarded();
    await expect(http.get(`http://${host}/`, { signal: new AbortController().signal })).rejects.toThrow(PermanentError);
  });

  test('behind a name, by the address that the socket would connect to', async () => {
    expect(await failure(server.url.replace('127.0.0.1', 'localhost'), guarded())).toContain('localhost resolves to');
  });

  test('after a redirect, as a literal and behind a name', async () => {
    const http = client({ refuses: (address) => address !== '127.0.0.1' && isPrivateAddress(address) });
    const named = client({ refuses: hostOnce() });
    expect(await failure(`${server.url}/redirect?to=http://[::1]/`, http)).toContain('::1 is a private address');
    expect(await failure(`${server.url}/redirect?to=http://localhost/`, named)).toContain('localhost resolves to');
  });

  test('while public addresses are not', () => {
    const addresses = ['8.8.8.8', '172.32.0.1', '100.128.0.1', '2606:4700::1111', '::ffff:8.8.8.8'];
    expect(addresses.filter(isPrivateAddress)).toEqual([]);
  });

  /** Lets the first question, the test server's own literal, pass. */
  function hostOnce() {
    let asked = 0;
    return (address: string) => asked++ > 0 && isPrivateAddress(address);
  }
});

describe('an abort', () => {
  test('ends a request that has no answer yet', async () => {
    const abort = new AbortController();
    const pending = client().get(`${server.url}/silent`, { signal: abort.signal });
    abort.abort(new Error('stop now'));
    await expect(pending).rejects.toThrow('stop now');
  });

  test('ends a body that is half read', async () => {
    const abort = new AbortController();
    const { body } = await client().get(`${server.url}/half`, { signal: abort.signal });
    const reader = body[Symbol.asyncIterator]();
    await reader.next();
    const pending = reader.next();
    setImmediate(() => abort.abort(new Error('stop now')));
    await once(abort.signal, 'abort');
    await expect(pending).rejects.toThrow('stop now');
  });
});

interface TestServer {
  url: string;
  /** How many connections clients have opened so far. */
  connections(): number;
  close(): Promise<void>;
}

/** Starts an HTTP server on a free port of 127.0.0.1. */
async function startTestServer(listener: RequestListener): Promise<TestServer> {
  const server = createServer(listener);
  let connections = 0;
  server.on('connection', () => {
    connections += 1;
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    connections: () => connections,
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}
