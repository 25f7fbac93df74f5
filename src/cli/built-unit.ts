import { type BuiltQueue, openBuiltApp } from '../app/built-app.ts';
import { runUnit } from './run-unit.ts';

/** Runs a thread or process of a pool of a built worker: the other program of its folder. */
export function runBuiltUnit(built: BuiltQueue): Promise<void> {
  return runUnit(() => openBuiltApp(built));
}
