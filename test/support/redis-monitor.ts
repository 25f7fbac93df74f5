import { once } from 'node:events';
import { connect } from 'node:net';

/** One command that Redis was given. */
export interface SeenCommand {
  /** The address of the client, or "lua". */
  source: string;
  name: string;
  args: string[];
}

function parseLine(line: string): SeenCommand | undefined {
  const [, source = '', words] = /^\+[\d.]+ \[\d+ (\S+)\] (.*)$/.exec(line) ?? [];
  if (words === undefined) return undefined;
  const [name = '', ...args] = [...words.matchAll(/"((?:[^"\\]|\\.)*)"/g)].map(([, word = '']) => word);
  return { source, name: name.toLowerCase(), args };
}

/**
 * Tells each command that Redis gets from now on, of whichever client; returns a function that ends this. ioredis has a
 * monitor too, which fails where the first command arrives together with Redis's consent, as it does on a busy Redis.
 */
export async function monitorRedis(url: string, tell: (command: SeenCommand) => void): Promise<() => void> {
  const { hostname, port, password } = new URL(url);
  const socket = connect(Number(port), hostname, () => socket.write(`AUTH ${password}\r\nMONITOR\r\n`));
  await once(socket.setEncoding('utf8'), 'connect');
  let text = '';
  let consents = 0;
  await new Promise<void>((resolve, reject) => {
    socket.on('error', reject).on('data', (data) => {
      const lines = (text + data).split('\r\n');
      text = lines.pop() ?? '';
      for (const line of lines) {
        if (line.startsWith('-')) reject(new Error(line));
        const command = parseLine(line);
        if (command) tell(command);
        else if (line === '+OK' && ++consents === 2) resolve();
      }
    });
  });
  return () => socket.destroy();
}
