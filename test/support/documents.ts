import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';

/** A fenced block of a document. */
export interface Block {
  document: string;
  /** "ts", "sh", or "" for a picture. */
  language: string;
  /** Where a snippet belongs in an app; empty when the fence names no file. */
  file: string;
  text: string;
}

/** The documents for users. */
export const documents = ['README.md', ...readdirSync('docs').map((name) => join('docs', name))].filter((name) =>
  name.endsWith('.md'),
);

/** The fenced blocks of all documents, in their order. */
export function readBlocks(): Block[] {
  return documents.flatMap((document) => {
    const blocks = readFileSync(document, 'utf8').matchAll(/^```(\S*) ?(.*)\n([\s\S]*?)^```$/gm);
    return [...blocks].map(([, language = '', file = '', text = '']) => ({ document, language, file, text }));
  });
}

/** The commands of the documents' shell blocks, without comments, each once. */
export function readCommands(): { document: string; command: string }[] {
  const commands = readBlocks()
    .filter(({ language }) => language === 'sh')
    .flatMap(({ document, text }) =>
      text.split('\n').map((line) => ({ document, command: line.replace(/(^|\s+)#.*$/, '').trim() })),
    );
  const seen = new Map(commands.map((one) => [one.command, one]));
  return [...seen.values()].filter(({ command }) => command !== '');
}
