/** Controls that several labs and pages have, the same everywhere. */
import { say } from '../../common.ts';
import { UPDATE_TARGETS } from '../../labs.ts';
import type { Control } from './controls.ts';

/** The change of a weight that is looked into. */
export const targetControl = (title: () => string): Control => ({
  ...{ name: 'target', title, symbol: 'dW', kind: 'choice' },
  ...{ values: UPDATE_TARGETS, usual: 'smooth' },
});

/** The one number of a skew-symmetric matrix of two inputs. */
export const SKEW_CONTROL: Control = {
  ...{ name: 'q', title: () => say`Skew number q`, symbol: 'q', kind: 'number' },
  ...{ min: -2, max: 2, step: 0.01, usual: 0.5 },
};

/** PEFT's random_loc_seed, with its default. */
export const PLACES_CONTROL: Control = {
  ...{ name: 'places', title: () => say`Seed of the draw`, kind: 'number' },
  ...{ min: 0, max: 999, step: 1, usual: 777 },
};
