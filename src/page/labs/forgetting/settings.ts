/** What can be moved in the lab on forgetting, and what it shows. */
import { say } from '../../../common.ts';
import { BUDGETS, FORGET_METHODS, type ForgetRequest, NETWORKS } from '../../../labs.ts';
import type { Control, Quantity, Values } from '../controls.ts';

export const FORGETTING_CONTROLS: readonly Control[] = [
  {
    name: 'method',
    title: () => say`Method`,
    symbol: 'Wnew',
    kind: 'choice',
    values: FORGET_METHODS,
    usual: 'oft',
  },
  {
    name: 'budget',
    title: () => say`Numbers that train, about`,
    symbol: 'n',
    kind: 'choice',
    values: Object.keys(BUDGETS),
    usual: '112',
  },
  {
    name: 'apart',
    title: () => say`Distance of the tasks`,
    ...{ kind: 'number', min: 0, max: 2, step: 0.25, usual: 2 },
  },
  {
    name: 'network',
    title: () => say`Network`,
    kind: 'choice',
    values: Array.from({ length: NETWORKS }, (_, n) => String(n + 1)),
    usual: '1',
  },
  { name: 'seed', title: () => say`Seed`, kind: 'number', min: 0, max: 999, step: 1, usual: 1 },
];

/** What runs at these values. */
export const forgetRequest = ({ budget, apart, seed }: Values): ForgetRequest => ({
  budget: String(budget),
  apart: Number(apart),
  seed: Number(seed),
});

export const FORGETTING_QUANTITIES: readonly Quantity[] = [
  { name: 'kept', title: () => say`Share of the old task that is still told right` },
  { name: 'learnt', title: () => say`Share of the new task that is told right` },
  { name: 'energy', title: () => say`Hyperspherical energy after fine-tuning, over that before` },
  { name: 'angle', title: () => say`Largest change of an angle between neurons, in degrees` },
  { name: 'step', title: () => say`Steps on the new task so far` },
];
