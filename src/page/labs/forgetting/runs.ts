/** What runs in the lab on forgetting, and how its methods are called and drawn. */
import { say } from '../../../common.ts';
import {
  BUDGETS,
  countOf,
  FORGET_METHODS,
  FORGET_STEPS,
  type ForgetFacts,
  type ForgetMethodId,
  type ForgetPoint,
  type ForgetRequest,
  type ForgetView,
} from '../../../labs.ts';
import { METHODS } from '../../../methods.ts';
import { labWorker } from '../labWorker.ts';
import type { PlotLine } from '../Plot.tsx';
import type { FitShown, FitSource } from '../useFit.ts';

interface ForgetAnswer {
  readonly step: number;
  readonly course: readonly ForgetPoint[];
}

export type Forgetting = FitShown<ForgetRequest, ForgetFacts, ForgetAnswer, ForgetView>;

/** Between two pictures. */
const AT_ONCE = 20;

/** Its parts are the networks. */
export const FORGETTING: FitSource<ForgetRequest, ForgetFacts, ForgetAnswer, ForgetView> = {
  steps: FORGET_STEPS,
  open: (wanted) => labWorker().openForgetting(wanted),
  advance: () => labWorker().forget(AT_ONCE),
  look: (network) => labWorker().forgotten(network),
};

/** By itself, and at the beginning of a sentence. */
export const titleOf = (id: ForgetMethodId): string => METHODS[id].title;

/** Within a sentence. */
export const nameOf = (id: ForgetMethodId): string => (id === 'full' ? say`full fine-tuning` : titleOf(id));

/** Numbers that train, by method. */
export const numbersBy = (budget: string): readonly number[] => BUDGETS[budget]!.map(countOf);

export const STYLES: Readonly<Record<ForgetMethodId, Pick<PlotLine, 'color' | 'dash' | 'mark'>>> = {
  oft: { color: '--line-0', mark: 'circle' },
  boft: { color: '--line-3', mark: 'circle', dash: '7 4' },
  lora: { color: '--line-1', mark: 'square' },
  fourierft: { color: '--line-2', mark: 'diamond', dash: '2 4' },
  full: { color: '--line-5', mark: 'square', dash: '9 3 2 3' },
};

export const meanOf = (shares: readonly number[]): number =>
  shares.reduce((sum, share) => sum + share, 0) / shares.length;

/** Singular values below so small a share of the largest are rounding. */
const ROUNDING = 1e-6;

/** Directions in which a change acts. */
export const rankOf = (singular: readonly number[]): number =>
  singular.filter((value) => value > ROUNDING * singular[0]!).length;

export const methodIndex = (id: ForgetMethodId): number => FORGET_METHODS.indexOf(id);
