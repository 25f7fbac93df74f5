/**
 * Compiles the package in the working directory at each save, as long as the parent of this process lives. The parent is
 * told of each compilation: `{ built: true }`, or `{ built: false, output }` with the compiler's output.
 */
import { spawn } from 'node:child_process';
import { takeSnapshot } from './compiled-from.js';
import { isListed, refreshOutputs, runsFromSources, watchCommand } from './fresh-build.js';

const root = process.cwd();
let fromSources = runsFromSources(root);
let compiler = start();
let output = '';
/** The files that the compiler has read, and the content of those that were known when it began. */
let listed = [];
let snapshot = takeSnapshot(root);
process.on('disconnect', () => end(0));
// The parent may have gone before anybody listened.
if (process.connected === false) end(0);
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP', 'SIGQUIT', 'SIGUSR2']) process.on(signal, () => end(0));

function start() {
  const [program, ...args] = watchCommand(root);
  const started = spawn(program, args, { cwd: root, stdio: ['ignore', 'pipe', 'inherit'] });
  let rest = '';
  started.stdout.setEncoding('utf8').on('data', (text) => {
    const lines = (rest + text).split('\n');
    rest = lines.pop() ?? '';
    for (const line of lines) if (started === compiler) read(line);
  });
  started.on('close', () => started === compiler && end(1));
  return started;
}

/** Starts another compiler after dist/ was made or removed: whether it has to write there has changed. */
function startOtherwise() {
  fromSources = runsFromSources(root);
  const old = compiler;
  compiler = start();
  old.kill('SIGKILL');
}

/** @param {string} line */
function read(line) {
  const [, errors] = /Found (\d+) errors?\. Watching/.exec(line) ?? [];
  if (errors !== undefined && runsFromSources(root) !== fromSources) startOtherwise();
  else if (errors === '0') {
    const unknown = refreshOutputs(root, { listed, snapshot });
    tell(unknown.length === 0 ? { built: true } : { built: false, output: unknown.join('\n') });
  } else if (errors !== undefined) {
    tell({ built: false, output: output.trim() });
  }
  const begins = /Starting (incremental )?compilation|File change detected/.test(line);
  if (begins) [listed, snapshot] = [[], takeSnapshot(root)];
  if (isListed(line)) listed.push(line);
  else output = errors !== undefined || begins ? '' : `${output}${line}\n`;
}

/** @param {object} message */
function tell(message) {
  if (process.connected) process.send?.(message);
}

/** @param {number} code */
function end(code) {
  compiler.kill('SIGKILL');
  process.exit(code);
}
