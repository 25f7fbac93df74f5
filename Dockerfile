# One image runs one queue: docker build --build-arg QUEUE=mail -t mail-worker .
FROM node:22-bookworm-slim AS build
WORKDIR /app
# And Islet itself, where it was installed from a file.
COPY package.json package-lock.json *.tgz ./
RUN npm ci
COPY . .
ARG QUEUE
RUN test -n "$QUEUE" || { echo "Name a queue: docker build --build-arg QUEUE=<queue> ."; exit 1; }
RUN npm run build && node bin/islet.js build --queue "$QUEUE" --out /worker

# The same system, with Node and what that queue's worker needs, and nothing else.
FROM debian:bookworm-slim
COPY --from=build /usr/local/bin/node /usr/local/bin/node
RUN useradd --uid 10001 --no-create-home --shell /usr/sbin/nologin worker
WORKDIR /worker
# All that it may write to.
RUN install -d -o worker -g worker .islet
COPY --from=build /worker ./
ENV NODE_ENV=production MALLOC_ARENA_MAX=1
USER 10001:10001
# Node itself is the first process: it gets SIGTERM, and gives unfinished jobs back before it ends.
CMD ["node", "--optimize-for-size", "--max-semi-space-size=1", "--semi-space-growth-factor=1", "--no-maglev", "worker.js"]
