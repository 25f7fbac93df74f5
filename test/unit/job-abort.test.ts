import { describe, expect, test } from 'vitest';
import { JobAbort } from '../../src/job-abort.ts';

describe('a job’s abort', () => {
  test('reaches its signal, then its listener, with the first reason', () => {
    const abort = new JobAbort();
    const steps: unknown[] = [];
    abort.signal.addEventListener('abort', () => steps.push(['signal', abort.signal.reason]));
    abort.onAbort(() => steps.push(['listener', abort.reason]));
    abort.abort('first');
    abort.abort('second');
    expect(steps).toEqual([
      ['signal', 'first'],
      ['listener', 'first'],
    ]);
    expect({ aborted: abort.aborted, reason: abort.reason }).toEqual({ aborted: true, reason: 'first' });
  });

  test('is seen by a signal and a listener that come after it', () => {
    const abort = new JobAbort();
    abort.abort('why');
    let heard = 0;
    abort.onAbort(() => {
      heard += 1;
    });
    expect({ heard, aborted: abort.signal.aborted, reason: abort.signal.reason }).toEqual({
      heard: 1,
      aborted: true,
      reason: 'why',
    });
    expect(abort.signal).toBe(abort.signal);
  });

  test('reaches no listener that was taken out, and takes out no later one', () => {
    const abort = new JobAbort();
    const steps: string[] = [];
    const stopFirst = abort.onAbort(() => steps.push('first'));
    const stopSecond = abort.onAbort(() => steps.push('second'));
    stopFirst();
    abort.abort('why');
    expect(steps).toEqual(['second']);
    stopSecond();
  });

  test('throws its reason where it is asked to, once it is aborted', () => {
    const abort = new JobAbort();
    abort.throwIfAborted();
    const reason = new Error('why');
    abort.abort(reason);
    expect(() => abort.throwIfAborted()).toThrow(reason);
  });
});
