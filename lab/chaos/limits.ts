/** The times that the app under test is set to, and that the faults are measured by. All in milliseconds. */
export const lockMs = 5_000;
export const graceMs = 5_000;
/** How long after its grace a process may still be there. */
export const exitSlackMs = 2_000;
export const blockMs = 3 * lockMs;
/** Longer than the grace: a stop finds it running. */
export const stubbornMs = graceMs + 3_000;
