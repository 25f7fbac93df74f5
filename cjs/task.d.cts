import type * as entry from '../dist/src/task.js' with { 'resolution-mode': 'import' };

export type * from '../dist/src/task.js' with { 'resolution-mode': 'import' };
export declare const PermanentError: typeof entry.PermanentError;
export type PermanentError = entry.PermanentError;
export declare const defineHooks: typeof entry.defineHooks;
export declare const implement: typeof entry.implement;
