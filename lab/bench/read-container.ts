import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';

/** One instruction of a Dockerfile. */
export interface Instruction {
  name: string;
  rest: string;
}

/** Reads the stages of a Dockerfile. Knows what the templates use, so neither continued lines nor heredocs. */
export function readStages(text: string): Instruction[][] {
  const stages: Instruction[][] = [];
  for (const line of text.split('\n')) {
    const [, name, rest = ''] = /^([A-Z]+) (.*)$/.exec(line) ?? [];
    if (name === 'FROM') stages.push([]);
    if (name !== undefined) stages.at(-1)?.push({ name, rest });
  }
  return stages;
}

/** Reads what a stage's image is started with. */
export function readImage(stage: readonly Instruction[]) {
  const of = (name: string) => stage.filter((each) => each.name === name).map(({ rest }) => rest);
  const variables = of('ENV').flatMap((rest) => rest.split(' ').map((pair) => pair.split('=') as [string, string]));
  return {
    command: JSON.parse(of('CMD').at(-1) ?? '[]') as string[],
    env: Object.fromEntries(variables),
    user: of('USER').at(-1),
  };
}

export interface ComposeService {
  environment: Record<string, string>;
  healthcheck: { test: string[]; timeout: string };
  stop_grace_period: string;
  mem_limit: string;
  build: { context: string; args: { QUEUE: string } };
  command: string[];
}

export interface ComposeFile {
  services: Record<string, ComposeService>;
  configs: { redis: { content: string } };
}

// jest brings this package, which has no types.
const { load } = createRequire(import.meta.url)('js-yaml') as { load(text: string): unknown };

/** Reads a compose file, with variables put in as Docker Compose does. */
export function readCompose(file: string, variables: Record<string, string>): ComposeFile {
  const text = readFileSync(file, 'utf8').replace(/\$\{(\w+):\?[^}]*\}/g, (_, name: string) => {
    const value = variables[name];
    if (value === undefined) throw new Error(`${name} is not set`);
    return value;
  });
  return load(text) as ComposeFile;
}

const unitMs: Record<string, number> = { s: 1_000, m: 60_000 };

/** Converts a duration such as "30s" to milliseconds. */
export function toMs(duration: string): number {
  const [, amount, unit = ''] = /^(\d+)([sm])$/.exec(duration) ?? [];
  return Number(amount) * (unitMs[unit] ?? Number.NaN);
}
