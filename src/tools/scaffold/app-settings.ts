import { defaultProfile, launchCommand } from '../../launch-profiles.ts';
import type { Files } from './files.ts';

/** What a new app takes from Islet's own package.json: the versions that Islet was tested with. */
export interface IsletPackage {
  version: string;
  /** Not published: it is installed from what `npm pack` makes. */
  private?: boolean;
  engines: { node: string };
  dependencies: Record<string, string>;
  devDependencies: Record<string, string>;
}

/** What an app's own code imports, beside Islet. */
const libraries = ['awilix', 'convict', 'valibot'];
const tools = ['@biomejs/biome', '@types/convict', '@types/node', 'typescript', 'vitest'];

const scripts = {
  dev: 'islet dev',
  // By its file, not by its name: Node takes the flags of a launch profile on its command line only.
  worker: launchCommand(defaultProfile, 'node_modules/islet/bin/islet.js', ['worker', '--dev-redis']).join(' '),
  enqueue: 'islet enqueue --dev-redis',
  generate: 'islet generate',
  build: 'tsc -p tsconfig.build.json',
  test: 'vitest run',
  check: 'tsc --noEmit && biome ci . && islet check && vitest run',
  format: 'biome check --write .',
};

function packageJson(name: string, islet: IsletPackage): string {
  const known: Record<string, string> = { ...islet.devDependencies, ...islet.dependencies };
  const versions = (names: string[]) => Object.fromEntries(names.map((each) => [each, known[each] ?? '*']));
  const content = {
    name,
    version: '0.1.0',
    private: true,
    type: 'module',
    engines: islet.engines,
    scripts,
    dependencies: Object.fromEntries(
      Object.entries({ ...versions(libraries), islet: `^${islet.version}` }).sort(([a], [b]) => a.localeCompare(b)),
    ),
    devDependencies: versions(tools),
    // BullMQ's native helper is optional, and without its script npm does not ask about it.
    allowScripts: { 'msgpackr-extract': false },
  };
  return `${JSON.stringify(content, null, 2)}\n`;
}

const tsconfig = `{
  "compilerOptions": {
    "target": "ES2023",
    "module": "NodeNext",
    "moduleResolution": "NodeNext",
    "lib": ["ES2023"],
    "types": ["node"],
    "rootDir": ".",
    "outDir": "dist",
    "strict": true,
    "noUncheckedIndexedAccess": true,
    "noFallthroughCasesInSwitch": true,
    "erasableSyntaxOnly": true,
    "verbatimModuleSyntax": true,
    "rewriteRelativeImportExtensions": true,
    "sourceMap": true,
    "skipLibCheck": true
  },
  "include": ["queues", "tasks", "config", "src", "test"]
}
`;

const tsconfigBuild = `{
  "extends": "./tsconfig.json",
  "compilerOptions": { "noEmitOnError": true },
  "include": ["queues", "tasks", "config", "src"],
  "exclude": ["**/*.test.ts"]
}
`;

const biome = `{
  "root": true,
  "vcs": { "enabled": true, "clientKind": "git", "useIgnoreFile": true },
  "formatter": { "indentStyle": "space", "indentWidth": 2, "lineWidth": 120 },
  "javascript": { "formatter": { "quoteStyle": "single" } },
  "linter": { "rules": { "preset": "recommended" } },
  "files": { "includes": ["**", "!package-lock.json"] }
}
`;

const schema = `import { isletSettings } from 'islet/config';

/** The framework's settings, then the app's own. */
export const schema = {
  ...isletSettings,
  mail: {
    folder: {
      doc: 'Where mails are written.',
      format: String,
      default: '.islet/outbox',
      env: 'MAIL_FOLDER',
    },
  },
};

/** What queues' dependencies are handed. */
export interface AppConfig {
  env: string;
  redis: { url: string | null; prefix: string };
  log: { level: string };
  mail: { folder: string };
}
`;

const configIndex = `import convict from 'convict';
import { readConfig } from 'islet/config';
import { type AppConfig, schema } from './schema.ts';

const config = convict(schema as never, { args: [], env: process.env });

export default readConfig<AppConfig>(config as never, schema, {
  env: process.env,
  file: \`config/\${process.env.NODE_ENV ?? 'development'}.json\`,
});
`;

/** The files that say how a new app is installed, compiled, checked and configured. */
export function settingsFiles(name: string, islet: IsletPackage): Files {
  return {
    'package.json': packageJson(name, islet),
    'tsconfig.json': tsconfig,
    'tsconfig.build.json': tsconfigBuild,
    'biome.json': biome,
    'config/schema.ts': schema,
    'config/index.ts': configIndex,
    'config/development.json': '{ "log": { "level": "debug" } }\n',
    'config/production.json': '{ "log": { "level": "info" } }\n',
  };
}
