import { examplePayload } from './app-example.ts';
import type { Files } from './files.ts';

const readme = (name: string) => `# ${name}

Background workers on Islet and BullMQ. Each task and each queue is a folder.
`;

const commands = (name: string) => `
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

One image runs one queue. Give it more than \`worker.gracefulTimeout\` (25 s) to stop:

\`\`\`sh
docker build --build-arg QUEUE=mail -t ${name}-mail .
docker run -e REDIS_URL=redis://... --stop-timeout 30 ${name}-mail
\`\`\`
`;

const dockerfile = `# docker build --build-arg QUEUE=mail -t mail-worker .
FROM node:22-slim AS build
WORKDIR /app
COPY package.json package-lock.json ./
RUN npm ci
COPY . .
# The compiler would stay, over half of the image's packages: valibot names it as one that it may use.
RUN npm run build && npm prune --omit=dev && rm -rf node_modules/typescript node_modules/@typescript

FROM node:22-slim
ARG QUEUE
RUN test -n "$QUEUE" || { echo "Name a queue: docker build --build-arg QUEUE=<queue> ."; exit 1; }
ENV NODE_ENV=production QUEUE=$QUEUE
WORKDIR /app
RUN mkdir .islet && chown node:node .islet
COPY --from=build /app/package.json ./
COPY --from=build /app/node_modules ./node_modules
COPY --from=build /app/dist ./dist
COPY --from=build /app/config/*.json ./config/
USER node
# \`exec\` makes node itself the first process: it gets SIGTERM, and gives unfinished jobs back before it ends.
CMD ["sh", "-c", "exec node node_modules/islet/bin/islet.js worker --queue \\"$QUEUE\\""]
`;

const ignored = 'node_modules/\ndist/\ndist.*/\n.islet/\n*.log\n';

/** The files for people and for the tools around a new app. */
export function paperFiles(name: string): Files {
  return {
    'README.md': readme(name) + commands(name),
    Dockerfile: dockerfile,
    '.dockerignore': `${ignored}.git/\n.env\n`,
    '.gitignore': `${ignored}.env\n`,
  };
}
