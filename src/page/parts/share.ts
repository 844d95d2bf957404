/**
 * How much of its time the page draws while a run trains. A GPU draws and trains beside the page; on a processor every picture takes from the steps, so
 * that there the page draws less often.
 */
let trainsHere = false;

/** @param does whether the processor computes the steps: the engine without a GPU, or a software adapter */
export function processorTrains(does: boolean): void {
  trainsHere = does;
}

/** Milliseconds between two readings of a run's numbers. */
export const numbersEveryMs = (): number => (trainsHere ? 600 : 250);

/** All charts together draw one part of so many of the time, at most. */
export const chartShare = (): number => (trainsHere ? 15 : 5);
