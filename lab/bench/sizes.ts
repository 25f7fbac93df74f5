/** How much each case does. */
export interface Sizes {
  readonly quick: boolean;
  readonly rounds: number;
  /** The seconds after which no further round begins. Each case has one round in any case. */
  readonly budgetSeconds?: number;
  readonly loadJobs: number;
  /** The jobs that a new worker gets, while its code is not compiled yet. */
  readonly noopJobs: number;
  readonly steadyJobs: number;
  /** The jobs of the case "concurrency", for each one in flight. */
  readonly jobsPerSlot: number;
  readonly trickleMs: number;
  readonly enqueueOne: number;
  readonly enqueueMany: number;
  readonly idleTrafficMs: number;
  readonly trafficJobs: number;
  readonly islandJobs: number;
  readonly mixedCalls: number;
  readonly mixedComputations: number;
  readonly supervisedJobs: number;
}

export const callMs = 200;
export const trickleMs = 20;
export const computeMs = 2_000;

export const fullSizes: Sizes = {
  quick: false,
  rounds: 5,
  loadJobs: 5_000,
  noopJobs: 20_000,
  steadyJobs: 60_000,
  jobsPerSlot: 15,
  trickleMs: 8_000,
  enqueueOne: 2_000,
  enqueueMany: 10_000,
  idleTrafficMs: 60_000,
  trafficJobs: 2_000,
  islandJobs: 2_000,
  mixedCalls: 500,
  mixedComputations: 8,
  supervisedJobs: 6_000,
};

/** Sizes for three minutes, which show only changes of tens of percents. */
export const quickSizes: Sizes = {
  quick: true,
  rounds: 3,
  budgetSeconds: 95,
  loadJobs: 1_000,
  noopJobs: 5_000,
  steadyJobs: 5_000,
  jobsPerSlot: 5,
  trickleMs: 2_000,
  enqueueOne: 500,
  enqueueMany: 2_000,
  idleTrafficMs: 10_000,
  trafficJobs: 1_000,
  islandJobs: 500,
  mixedCalls: 150,
  mixedComputations: 2,
  supervisedJobs: 1_500,
};
