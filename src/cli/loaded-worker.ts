// All of Islet that the process of a worker has loaded: the command line, and what it loads for a worker.
import './worker-command.ts';
import './open-redis.ts';
import './run-worker.ts';
