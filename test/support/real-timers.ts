import { afterEach, vi } from 'vitest';

// Test files share a process, and the next one waits for real.
afterEach(() => {
  vi.useRealTimers();
});
