import { TextDecoder } from 'node:util';
import { Parser } from 'htmlparser2';

export interface ParsedPage {
  title: string;
  /** Absolute, distinct http(s) URLs without fragment, in the page's order, at most 100. */
  links: string[];
  /** Characters of text, without scripts and styles. */
  textLength: number;
}

const MAX_LINKS = 100;
const MAX_TITLE_LENGTH = 1_000;
const NOT_TEXT = new Set(['script', 'style']);

/** Parses an HTML page while it arrives; holds neither the page nor a tree of it. */
export async function parsePage(body: AsyncIterable<Uint8Array>, url: string, charset = 'utf-8'): Promise<ParsedPage> {
  const page = createPageReader(url);
  const decoder = createDecoder(charset);
  for await (const chunk of body) page.write(decoder.decode(chunk, { stream: true }));
  page.write(decoder.decode());
  return page.end();
}

function createDecoder(charset: string): TextDecoder {
  try {
    return new TextDecoder(charset);
  } catch {
    return new TextDecoder(); // a server may name any charset; an unknown one is no reason to lose the page
  }
}

function createPageReader(url: string) {
  const links = new Set<string>();
  let base = url;
  let title: string | undefined;
  let inside = '';
  let textLength = 0;
  const parser = new Parser({
    onopentag(name, { href }) {
      if (name === 'a' && href !== undefined && links.size < MAX_LINKS) addLink(links, href, base);
      else if (name === 'base' && href && URL.canParse(href, url)) base = new URL(href, url).href;
      else if (NOT_TEXT.has(name) || (name === 'title' && title === undefined)) inside = name;
    },
    ontext(text) {
      if (inside === 'title') title = (title ?? '') + text;
      if (!NOT_TEXT.has(inside)) textLength += text.length;
    },
    onclosetag(name) {
      if (name === inside) inside = '';
    },
  });
  return {
    write: (text: string) => parser.write(text),
    end(): ParsedPage {
      parser.end();
      return { title: tidyTitle(title ?? ''), links: [...links], textLength };
    },
  };
}

function addLink(links: Set<string>, href: string, base: string): void {
  if (!URL.canParse(href, base)) return;
  const link = new URL(href, base);
  if (link.protocol !== 'http:' && link.protocol !== 'https:') return;
  link.hash = '';
  links.add(link.href);
}

function tidyTitle(title: string): string {
  return title.replace(/\s+/g, ' ').trim().slice(0, MAX_TITLE_LENGTH);
}
