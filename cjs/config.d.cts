import type * as entry from '../dist/src/config.js' with { 'resolution-mode': 'import' };

export type * from '../dist/src/config.js' with { 'resolution-mode': 'import' };
export declare const isletSettings: typeof entry.isletSettings;
export declare const loadEnvFile: typeof entry.loadEnvFile;
export declare const maxDurationMs: typeof entry.maxDurationMs;
export declare const readConfig: typeof entry.readConfig;
export declare const readWorkerSettings: typeof entry.readWorkerSettings;
