import { openAppFolder } from '../app/folder-app.ts';
import { runUnit } from './run-unit.ts';

// The program of a thread or process of a pool, for an app as folders.
await runUnit(() => openAppFolder(process.cwd()));
