import { PermanentError } from 'islet/task';
import type { HttpClient, HttpResponse } from './http-client.ts';
import { type ParsedPage, parsePage } from './parse-page.ts';

export interface ScrapedPage extends ParsedPage {
  url: string;
  status: number;
}

export type Scrape = (url: string, signal: AbortSignal) => Promise<ScrapedPage>;

const HTML = /^(text\/html|application\/xhtml\+xml)\s*(;|$)/i;
const WORTH_A_RETRY = new Set([408, 425, 429]);

/** Creates `scrape`, which throws PermanentError where the same request would end the same way again. */
export function createScrape(http: HttpClient): Scrape {
  return async (url, signal) => {
    const response = await http.get(url, { signal });
    const refusal = refusalOf(response);
    if (refusal) {
      response.discard();
      throw refusal;
    }
    const page = await parsePage(response.body, response.url, charsetOf(response));
    return { url: response.url, status: response.status, ...page };
  };
}

function refusalOf({ url, status, headers }: HttpResponse): Error | undefined {
  if (status >= 500 || WORTH_A_RETRY.has(status)) return new Error(`${url} answered ${status}`);
  if (status < 200 || status > 299) return new PermanentError(`${url} answered ${status}`);
  const type = headers['content-type'] ?? 'no content type';
  if (!HTML.test(type)) return new PermanentError(`${url} is ${type}, not HTML`);
  const encoding = headers['content-encoding'] ?? 'identity';
  if (encoding !== 'identity') return new PermanentError(`${url} came as ${encoding}, though identity was asked for`);
  return undefined;
}

function charsetOf({ headers }: HttpResponse): string | undefined {
  return /charset="?([\w-]+)/i.exec(headers['content-type'] ?? '')?.[1];
}
