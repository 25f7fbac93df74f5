import { openAppFolder } from '../app/folder-app.ts';
import { runUnit } from './run-unit.ts';

// The program of a pool's threads and processes, for an app as folders.
await runUnit(() => openAppFolder(process.cwd()));
