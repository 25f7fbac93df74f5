import { showNumber } from './print.ts';
import type { CaseResult } from './results.ts';

const width = 760;
const left = 300;
const right = 110;
const rowHeight = 30;
const barHeight = 16;
const top = 62;

/** The page's colours do not reach into an image, but the reader's choice of a dark scheme does. */
const style = `
  text { font: 13px system-ui, -apple-system, "Segoe UI", sans-serif; fill: #1f2328; }
  .title { font-size: 15px; font-weight: 600; }
  .note { fill: #59636e; font-size: 12px; }
  .own { font-weight: 600; }
  .peak { fill: #b6bdc7; } .idle { fill: #818b98; }
  .own-peak { fill: #7cc4a3; } .own-idle { fill: #1a7f53; }
  .axis { stroke: #d1d9e0; }
  @media (prefers-color-scheme: dark) {
    text { fill: #f0f6fc; } .note { fill: #9198a1; }
    .peak { fill: #4b535d; } .idle { fill: #8b949e; }
    .own-peak { fill: #1f6b4a; } .own-idle { fill: #4cc38a; }
    .axis { stroke: #3d444d; }
  }`;

const toXml = (text: string) => text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;');

/** Draws a bar for each worker: its memory when idle and, paler, its peak under the load. */
export function renderChart({ entries, about }: CaseResult): string {
  const rows = entries.flatMap(({ key, name, figures }) => {
    const [idle, peak] = [figures.idleRssMb?.median, figures.peakRssMb?.median];
    return idle === undefined ? [] : [{ name, idle, peak, own: key.startsWith('islet') }];
  });
  rows.sort((a, b) => (a.peak ?? a.idle) - (b.peak ?? b.idle));
  const most = Math.max(1, ...rows.map(({ idle, peak }) => Math.max(idle, peak ?? 0)));
  const scale = (mb: number) => Math.round(((width - left - right) * mb * 10) / most) / 10;
  const height = top + rows.length * rowHeight + 12;
  const bars = rows.map(({ name, idle, peak, own }, at) => {
    const y = top + at * rowHeight;
    const [text, bar] = own ? [' class="own"', 'own-'] : ['', ''];
    const shown = peak === undefined ? `${showNumber(idle)}` : `${showNumber(idle)} → ${showNumber(peak)}`;
    const end = left + scale(Math.max(idle, peak ?? 0)) + 8;
    return [
      `<text x="${left - 12}" y="${y + 13}" text-anchor="end"${text}>${toXml(name)}</text>`,
      ...(peak === undefined ? [] : [rect(`${bar}peak`, y, scale(peak))]),
      rect(`${bar}idle`, y, scale(idle)),
      `<text x="${end}" y="${y + 13}"${text}>${shown}</text>`,
    ].join('\n');
  });
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${width} ${height}" width="${width}" height="${height}" role="img" aria-label="RAM of one worker, idle and at its peak">`,
    `<style>${style}\n</style>`,
    `<text x="12" y="22" class="title">RAM of one worker in MB (RSS): idle, and its peak under load</text>`,
    `<text x="12" y="42" class="note">${toXml(about)}</text>`,
    `<line class="axis" x1="${left}" x2="${left}" y1="${top - 6}" y2="${height - 8}"/>`,
    ...bars,
    '</svg>',
    '',
  ].join('\n');
}

function rect(kind: string, y: number, length: number): string {
  return `<rect class="${kind}" x="${left}" y="${y}" width="${length}" height="${barHeight}" rx="2"/>`;
}
