import { examplePayload } from './app-example.ts';
import { containerFiles } from './container-files.ts';
import type { Files } from './files.ts';

const readme = (name: string) => `# ${name}

Background workers on Islet and BullMQ. Each task and each queue is a folder.
`;

const commands = `
\`\`\`sh
npm install
npm run dev                                   # all queues, a Redis of its own, restarted when a file is saved
npm run worker -- --queue mail                # one queue's worker
npm run enqueue -- send-welcome ${examplePayload} --wait
npm run generate -- task send-invoice --queue mail
npm test                                      # no Redis needed
npm run check                                 # types, lint, format, manifests, tests
\`\`\`

Without \`REDIS_URL\`, \`dev\`, \`worker\` and \`enqueue\` share a private Redis of this project.

- \`tasks/<task>/\`: \`manifest.ts\`, which anyone may import; \`task.ts\`, the code; \`task.test.ts\`, its test.
- \`queues/<queue>/\`: \`manifest.ts\`, which anyone may import; \`dependencies.ts\`, what its tasks share.
- \`config/\`: \`schema.ts\`, then \`<environment>.json\` over it, then environment variables over both.
- \`test/\`: tests of several parts together.

One image runs one queue: \`Dockerfile\`. \`compose.yaml\` has Redis and a worker for each queue; for a new queue, add a
service like the last one there.

\`\`\`sh
echo "REDIS_PASSWORD=$(openssl rand -hex 24)" >> .env
docker compose up --build
\`\`\`
`;

const ignored = 'node_modules/\ndist/\nbuild/\ndist.*/\n.islet/\n*.log\n';

/** The files for people and for the tools around a new app. */
export function paperFiles(name: string): Files {
  return {
    'README.md': readme(name) + commands,
    ...containerFiles({ queues: ['mail'], islet: 'npx --no-install islet', ignored }),
    '.gitignore': `${ignored}.env\n`,
  };
}
