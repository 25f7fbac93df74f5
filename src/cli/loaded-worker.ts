// All of Islet that a worker's process has loaded: the command, and what the command loads for a worker.
import '../guard/guard.ts';
import './worker-command.ts';
import './run-worker.ts';
