/** How long a lock of the app under test lasts. */
export const lockMs = 5_000;
export const graceMs = 5_000;
/** How long after the grace a process may still be there. */
export const exitSlackMs = 2_000;
/** How many attempts a failing job has. */
export const failingAttempts = 3;
export const blockMs = 3 * lockMs;
/** How long a stubborn job takes: longer than the grace, so that a stop finds it running. */
export const stubbornMs = graceMs + 3_000;
