export interface Progress {
  show(settled: number, inFlight: number): void;
  end(): void;
}

const barWidth = 30;
const lineEveryMs = 1_000;

/** Creates the live view of the run: one rewritten line on a terminal, otherwise at most a line per second. */
export function createProgress(jobs: number, out: NodeJS.WriteStream): Progress {
  let shownAt = 0;
  let lastLine = '';
  const show = (settled: number, inFlight: number) => {
    const line = `${bar(settled / jobs)} ${settled}/${jobs} settled, ${inFlight} requests in flight`;
    if (line === lastLine || (!out.isTTY && performance.now() - shownAt < lineEveryMs)) return;
    shownAt = performance.now();
    lastLine = line;
    // \x1b[K clears what a longer line left behind.
    out.write(out.isTTY ? `\r${line}\x1b[K` : `${line}\n`);
  };
  const end = () => {
    if (out.isTTY && lastLine !== '') out.write('\n');
    lastLine = '';
  };
  return { show, end };
}

export const silentProgress: Progress = { show: () => {}, end: () => {} };

function bar(share: number): string {
  const filled = Math.floor(share * barWidth);
  return `[${'#'.repeat(filled)}${'.'.repeat(barWidth - filled)}]`;
}
