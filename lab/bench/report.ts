// Writes lab/bench/results.json into the README and the documents.
import { readFileSync, writeFileSync } from 'node:fs';
import { renderChart } from './chart.ts';
import { renderDocument, replaceShort } from './render-report.ts';
import type { Results } from './results.ts';

try {
  const results: Results = JSON.parse(readFileSync('lab/bench/results.json', 'utf8'));
  writeFileSync('README.md', replaceShort(readFileSync('README.md', 'utf8'), results));
  writeFileSync('docs/benchmarks.md', renderDocument(results));
  const load = results.cases.find(({ name }) => name === 'load');
  if (load === undefined) throw new Error('lab/bench/results.json has no case "load". Run "npm run bench" whole.');
  writeFileSync('docs/benchmarks.svg', renderChart(load));
  console.log('Written: README.md, docs/benchmarks.md, docs/benchmarks.svg');
} catch (error) {
  console.error(`Nothing to report: ${(error as Error).message}`);
  process.exitCode = 1;
}
