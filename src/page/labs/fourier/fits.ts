/** What the lab of Fourier against low rank fits, and what of it is said in words. */
import { say } from '../../../common.ts';
import {
  FIT_STEPS,
  pieceAt,
  type UpdateFacts,
  type UpdatePiece,
  type UpdateTarget,
  type Way,
} from '../../../labs.ts';
import { fixed, power } from '../../format.ts';
import { labWorker } from '../labWorker.ts';
import { type FitShown, matrixFits } from '../useFit.ts';

export interface Wanted {
  readonly target: UpdateTarget;
  readonly seed: number;
  readonly placeSeed: number;
}

export type Fits = FitShown<Wanted, UpdateFacts>;

export const FOURIER_FITS = matrixFits((wanted: Wanted) =>
  labWorker().openUpdates({ ...wanted, steps: FIT_STEPS }),
);

/** Below this a fit has found its target, as far as so many steps in 32 bits go. */
const EXACT = 1e-3;

export const isExact = (error: number): boolean => error < EXACT;

/** What is left, as it is said: what is found is found, to some digits. */
export const leftText = (error: number): string => (isExact(error) ? power(error) : fixed(error, 3));

export const leftBy = ({ answer }: Fits, piece: UpdatePiece): number => answer.best[pieceAt(piece)]!;

export const targetTitle = (target: string): string =>
  ({
    smooth: say`smooth`,
    shifted: say`smooth, shifted`,
    entries: say`few entries`,
    lowrank: say`low rank`,
    random: say`random`,
  })[target] ?? target;

export const wayTitle = (way: string): string =>
  ({ drawn: say`drawn, as PEFT does`, low: say`the lowest`, best: say`the target’s largest` })[way] ?? way;

/** FourierFT by how its frequencies are chosen. */
export const wayName = (way: Way): string =>
  ({
    drawn: say`FourierFT, frequencies drawn`,
    low: say`FourierFT, lowest frequencies`,
    best: say`FourierFT, the target’s largest frequencies`,
  })[way];
