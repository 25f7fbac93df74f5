import { defaultProfile, launchCommand, launchProfiles } from '../../launch-profiles.ts';
import type { Files } from './files.ts';

export interface ContainerNeeds {
  queues: readonly string[];
  /** How the build stage calls Islet's command line. */
  islet: string;
  /** What is in the app's folder and must not be in an image. */
  ignored: string;
}

const nodeVersion = 22;
const debian = 'bookworm';
const port = 8080;

/** The command of a built worker: node itself, so that it gets the signals. */
export const workerCommand = launchCommand(defaultProfile, 'worker.js');

/** No shell, no curl, no bundle: Node alone asks, and ends with 0 when the worker is well. Compose reads "$" as its own. */
const healthCheck = [
  'node',
  '-e',
  `require('node:http').get('http://127.0.0.1:${port}/livez', ({ statusCode }) => process.exit(statusCode === 200 ? 0 : 1)).on('error', () => process.exit(1))`,
];

const list = (words: readonly string[]) => `[${words.map((word) => JSON.stringify(word)).join(', ')}]`;

function dockerfile(islet: string): string {
  const env = Object.entries(launchProfiles[defaultProfile].env).map(([name, value]) => ` ${name}=${value}`);
  return `# One image runs one queue: docker build --build-arg QUEUE=mail -t mail-worker .
FROM node:${nodeVersion}-${debian}-slim AS build
WORKDIR /app
# And Islet itself, where it was installed from a file.
COPY package.json package-lock.json *.tgz ./
RUN npm ci
COPY . .
ARG QUEUE
RUN test -n "$QUEUE" || { echo "Name a queue: docker build --build-arg QUEUE=<queue> ."; exit 1; }
RUN ${islet} build --queue "$QUEUE" --out /worker

# The same system, with Node and what that queue's worker needs, and nothing else.
FROM debian:${debian}-slim
COPY --from=build /usr/local/bin/node /usr/local/bin/node
RUN useradd --uid 10001 --no-create-home --shell /usr/sbin/nologin worker
WORKDIR /worker
# All that it may write to.
RUN install -d -o worker -g worker .islet
COPY --from=build /worker ./
ENV NODE_ENV=production${env.join('')}
USER 10001:10001
# Node itself is the first process: it gets SIGTERM, and gives unfinished jobs back before it ends.
CMD ${list(workerCommand)}
`;
}

const composeHead = `# Redis, and a worker for each queue. A password of letters and digits first, then all of them:
#   echo "REDIS_PASSWORD=$(openssl rand -hex 24)" >> .env
#   docker compose up --build
x-worker: &worker
  restart: unless-stopped
  depends_on:
    redis: { condition: service_healthy }
  environment:
    REDIS_URL: redis://:\${REDIS_PASSWORD:?is missing in .env}@redis:6379
    WORKER_HEALTH_PORT: "${port}"
  # More than worker.gracefulTimeout (25 s) and the 2 s after it.
  stop_grace_period: 30s
  mem_limit: 512m
  healthcheck:
    test:
      - CMD
${healthCheck.map((word) => `      - ${JSON.stringify(word)}`).join('\n')}
    interval: 30s
    timeout: 5s
    start_period: 30s
    retries: 3

# Nothing may be lost or dropped. In a file: every user of the host sees what is on a command line.
configs:
  redis:
    content: |
      dir /data
      appendonly yes
      appendfsync everysec
      maxmemory-policy noeviction
      requirepass \${REDIS_PASSWORD:?is missing in .env}

volumes:
  redis: {}

services:
  redis:
    image: redis:7
    command: ["redis-server", "/etc/redis.conf"]
    restart: unless-stopped
    configs:
      - { source: redis, target: /etc/redis.conf }
    volumes:
      - redis:/data
    environment:
      REDISCLI_AUTH: \${REDIS_PASSWORD:?is missing in .env}
    healthcheck:
      test: ["CMD-SHELL", "redis-cli ping | grep -q PONG"]
      interval: 5s
      timeout: 3s
      retries: 20
`;

/** The service of one queue, as it stands at the end of compose.yaml. */
function composeService(queue: string): string {
  return `
  ${queue}:
    <<: *worker
    build: { context: ., args: { QUEUE: ${queue} } }
`;
}

/** The files that put each queue's worker into a container of its own. */
export function containerFiles({ queues, islet, ignored }: ContainerNeeds): Files {
  return {
    Dockerfile: dockerfile(islet),
    'compose.yaml': composeHead + queues.map(composeService).join(''),
    '.dockerignore': `${ignored}.git/\n.env\n`,
  };
}
