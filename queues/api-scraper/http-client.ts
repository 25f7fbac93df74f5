import { type LookupAddress, lookup as resolve } from 'node:dns';
import http, { type IncomingHttpHeaders, type IncomingMessage, type RequestOptions } from 'node:http';
import https from 'node:https';
import { isIP, type LookupFunction } from 'node:net';
import { PermanentError } from 'islet/task';

export interface HttpClientOptions {
  /** Tells whether an address must not be connected to. Asked for each literal and for each resolved address. */
  refuses: (address: string) => boolean;
  /** The largest body, in bytes; a larger one ends with PermanentError. */
  maxBodyBytes: number;
  /** How many redirects one `get` follows. */
  maxRedirects: number;
}

export interface HttpResponse {
  /** Where the last redirect led. */
  url: string;
  status: number;
  headers: IncomingHttpHeaders;
  /** Throws PermanentError past `maxBodyBytes`. Read it to its end or call `discard`, or the socket stays taken. */
  body: AsyncIterable<Buffer>;
  /** Gives the socket up, or back to the agent where little is left to read. */
  discard(): void;
}

export interface HttpClient {
  get(url: string, options: { signal: AbortSignal }): Promise<HttpResponse>;
  close(): void;
}

interface Connections {
  http: http.Agent;
  https: https.Agent;
  lookup: LookupFunction;
}

const REDIRECTS = new Set([301, 302, 303, 307, 308]);
const CHEAP_TO_DRAIN_BYTES = 16 * 1024;
const CHEAP_TO_DRAIN_MS = 1_000;
const HEADERS = { accept: 'text/html,application/xhtml+xml', 'accept-encoding': 'identity', 'user-agent': 'islet' };

/** Creates a GET client that keeps sockets alive and reaches no address that `refuses` names. Not fetch: undici costs RAM. */
export function createHttpClient(options: HttpClientOptions): HttpClient {
  const agentOptions = { keepAlive: true, maxSockets: Number.POSITIVE_INFINITY };
  const connections: Connections = {
    http: new http.Agent(agentOptions),
    https: new https.Agent(agentOptions),
    lookup: guardedLookup(options.refuses),
  };
  return {
    get: (url, { signal }) => follow(url, signal, connections, options),
    close() {
      connections.http.destroy();
      connections.https.destroy();
    },
  };
}

async function follow(start: string, signal: AbortSignal, connections: Connections, options: HttpClientOptions) {
  let url = checkedUrl(start, options.refuses);
  for (let hops = 0; ; hops += 1) {
    const message = await request(url, signal, connections);
    const status = message.statusCode ?? 0;
    if (!REDIRECTS.has(status)) return toResponse(url, status, message, signal, options.maxBodyBytes);
    discard(message);
    if (hops >= options.maxRedirects) throw new PermanentError(`${start} redirects over ${options.maxRedirects} times`);
    url = checkedUrl(message.headers.location ?? '', options.refuses, url);
  }
}

function checkedUrl(text: string, refuses: HttpClientOptions['refuses'], base?: URL): URL {
  if (base && text === '') throw new PermanentError(`${base.href} redirects without saying where to`);
  const url = URL.canParse(text, base?.href) ? new URL(text, base?.href) : undefined;
  if (!url) throw new PermanentError(`Not a URL: ${JSON.stringify(text)}`);
  if (url.protocol !== 'http:' && url.protocol !== 'https:') {
    throw new PermanentError(`Only http and https are fetched, got ${url.protocol}`);
  }
  const host = url.hostname.replace(/^\[|\]$/g, '');
  if (isIP(host) && refuses(host)) throw new PermanentError(`${host} is a private address`);
  return url;
}

/** Checks the very addresses that the socket connects to, so a name that resolves anew (DNS rebinding) gains nothing. */
function guardedLookup(refuses: HttpClientOptions['refuses']): LookupFunction {
  return (hostname, options, callback) => {
    resolve(hostname, { ...options, all: true }, (error, addresses: LookupAddress[]) => {
      if (error) return callback(error, '', 0);
      const bad = addresses.find(({ address }) => refuses(address));
      if (bad) return callback(new PermanentError(`${hostname} resolves to private address ${bad.address}`), '', 0);
      const [first] = addresses;
      if (options.all || !first) return callback(null, addresses);
      callback(null, first.address, first.family);
    });
  };
}

/** Sends the request; once more where a kept socket turns out to have been closed by the server in the meantime. */
function request(url: URL, signal: AbortSignal, connections: Connections): Promise<IncomingMessage> {
  const secure = url.protocol === 'https:';
  const agent = secure ? connections.https : connections.http;
  const options: RequestOptions = { agent, lookup: connections.lookup, signal, headers: HEADERS };
  return new Promise((resolveMessage, reject) => {
    let answered = false;
    const outgoing = (secure ? https : http).get(url, options, (message) => {
      answered = true;
      resolveMessage(message);
    });
    outgoing.on('error', (error: NodeJS.ErrnoException) => {
      const stale = !answered && outgoing.reusedSocket && error.code === 'ECONNRESET' && !signal.aborted;
      if (stale) request(url, signal, connections).then(resolveMessage, reject);
      else reject(signal.aborted ? signal.reason : error);
    });
  });
}

function toResponse(url: URL, status: number, message: IncomingMessage, signal: AbortSignal, maxBodyBytes: number) {
  return {
    url: url.href,
    status,
    headers: message.headers,
    body: boundedBody(message, signal, maxBodyBytes),
    discard: () => discard(message),
  };
}

async function* boundedBody(message: IncomingMessage, signal: AbortSignal, maxBodyBytes: number) {
  let bytes = Number(message.headers['content-length'] ?? 0) > maxBodyBytes ? Number.POSITIVE_INFINITY : 0;
  try {
    for await (const chunk of message as AsyncIterable<Buffer>) {
      bytes += chunk.length;
      if (bytes > maxBodyBytes) throw new PermanentError(`The body is larger than ${maxBodyBytes} bytes`);
      yield chunk;
    }
  } catch (error) {
    throw signal.aborted ? signal.reason : error;
  }
}

/** Drains a short body, which gives the socket back, and cuts a long, slow or endless one off. */
function discard(message: IncomingMessage): void {
  let left = CHEAP_TO_DRAIN_BYTES;
  if (Number(message.headers['content-length'] ?? 0) > left) return void message.destroy();
  const timer = setTimeout(() => message.destroy(), CHEAP_TO_DRAIN_MS);
  message.on('data', (chunk: Buffer) => {
    left -= chunk.length;
    if (left < 0) message.destroy();
  });
  message.on('end', () => clearTimeout(timer));
  message.on('close', () => clearTimeout(timer));
}
