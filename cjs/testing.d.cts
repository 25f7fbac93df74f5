import type * as entry from '../dist/src/testing.js' with { 'resolution-mode': 'import' };

export type * from '../dist/src/testing.js' with { 'resolution-mode': 'import' };
export declare const createTestApp: typeof entry.createTestApp;
export declare const expectIdempotent: typeof entry.expectIdempotent;
export declare const runTask: typeof entry.runTask;
