/** Every default of a manifest, once. */
export const taskDefaults = {
  version: 1,
  attempts: 3,
  backoff: { type: 'exponential', delayMs: 1_000, maxDelayMs: 3_600_000, jitter: 0.5 },
  timeoutMs: 60_000,
  abandonAfterMs: 5_000,
  maxPayloadBytes: 262_144,
  maxResultBytes: 262_144,
  load: 'on-start',
} as const;

export const queueDefaults = {
  concurrency: 100,
  lockDurationMs: 60_000,
  retention: { failedForMs: 604_800_000, failedCount: 1_000 },
} as const;
