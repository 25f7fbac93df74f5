import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { resolve } from 'node:path';
import { pathToFileURL } from 'node:url';

export interface Suggestion {
  /** What would be inserted. */
  name: string;
  /** Its declaration, as the editor shows it. */
  detail: string;
}

/** An editor with one file open, that asks TypeScript's language server. */
export interface Editor {
  /** Shows a text in the file, and returns what may stand where the text has its first `|`, by name. */
  complete(text: string): Promise<Suggestion[]>;
  close(): Promise<void>;
}

interface Item {
  label: string;
  insertText?: string;
  detail?: string;
}

interface Message {
  id?: number;
  method?: string;
  result?: unknown;
  error?: { message: string };
}

/** Calls `take` for each message that the server writes: a header with the length, an empty line, and JSON. */
function readMessages(server: ChildProcess, take: (message: Message) => void): void {
  let unread = Buffer.alloc(0);
  server.stdout?.on('data', (chunk: Buffer) => {
    unread = Buffer.concat([unread, chunk]);
    for (;;) {
      const start = unread.indexOf('\r\n\r\n') + 4;
      const length = Number(/Content-Length: (\d+)/i.exec(unread.toString('latin1', 0, start))?.[1]);
      if (start < 4 || unread.length < start + length) return;
      const message = unread.toString('utf8', start, start + length);
      unread = unread.subarray(start + length);
      take(JSON.parse(message));
    }
  });
}

function connect(server: ChildProcess) {
  const waiting = new Map<number, (message: Message) => void>();
  const send = (message: object) => {
    const json = JSON.stringify({ jsonrpc: '2.0', ...message });
    server.stdin?.write(`Content-Length: ${Buffer.byteLength(json)}\r\n\r\n${json}`);
  };
  readMessages(server, (message) => {
    if (message.id === undefined) return;
    if (message.method) send({ id: message.id, result: null });
    else waiting.get(message.id)?.(message);
  });
  const fail = (code: number | null) => {
    for (const answer of waiting.values()) answer({ error: { message: `the language server ended with ${code}` } });
  };
  server.once('exit', fail);
  let lastId = 0;
  const request = async <T>(method: string, params: object): Promise<T> => {
    const id = ++lastId;
    const { result, error } = await new Promise<Message>((answer) => {
      waiting.set(id, answer);
      send({ id, method, params });
    });
    waiting.delete(id);
    if (error) throw new Error(`${method}: ${error.message}`);
    return result as T;
  };
  return { request, notify: (method: string, params: object) => send({ method, params }) };
}

/** Starts TypeScript's language server and opens a file of a project. */
export async function openEditor(file: string): Promise<Editor> {
  const server = spawn(process.execPath, [resolve('node_modules/typescript/bin/tsc'), '--lsp', '--stdio']);
  const exited = once(server, 'exit');
  const { request, notify } = connect(server);
  await request('initialize', { processId: process.pid, rootUri: pathToFileURL('.').href, capabilities: {} });
  notify('initialized', {});
  const uri = pathToFileURL(file).href;
  let version = 1;
  notify('textDocument/didOpen', { textDocument: { uri, version, languageId: 'typescript', text: '' } });
  return {
    async complete(text) {
      const at = text.indexOf('|');
      const before = text.slice(0, at).split('\n');
      const position = { line: before.length - 1, character: before.at(-1)?.length };
      const changed = before.join('\n') + text.slice(at + 1);
      notify('textDocument/didChange', {
        textDocument: { uri, version: ++version },
        contentChanges: [{ text: changed }],
      });
      const list = await request<{ items: Item[] } | null>('textDocument/completion', {
        textDocument: { uri },
        position,
      });
      const items = await Promise.all((list?.items ?? []).map((item) => request<Item>('completionItem/resolve', item)));
      return items
        .map(({ label, insertText, detail = '' }) => ({ name: insertText ?? label, detail }))
        .sort((a, b) => (a.name < b.name ? -1 : 1));
    },
    async close() {
      server.kill();
      await exited;
    },
  };
}
