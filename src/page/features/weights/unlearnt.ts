/**
 * Places of a spectrum that a run does not learn. Which are learnt follows from their number and a seed, as in PEFT, whose files hold no places: the first
 * so many of one shuffled order. So a further place comes with all that the seed draws before it, and is learnt by a new run alone.
 */
import { type Layer, METHODS } from '../../../methods.ts';
import type { Page } from '../../page.ts';
import { isLeft } from '../setup/holds.ts';
import type { PageSettings } from '../setup/settings.ts';

/** A frequency: along the outputs and along the inputs. */
export interface Place {
  readonly row: number;
  readonly column: number;
}

/** Entries of the largest plane whose order is drawn in the page. */
const MOST_PLACES = 2 ** 20;

/** The frequency at a point of the plane whose middle is 0: the inverse of `centred`. */
export const frequencyAt = (at: number, n: number): number =>
  (Math.min(n - 1, Math.max(0, Math.floor(at))) + n - Math.floor(n / 2)) % n;

/**
 * How many frequencies a layer must learn for this place to be among them.
 *
 * @param config the run's, whole
 * @returns null where the plane is too large for its order to be drawn here
 */
export function countWith(layer: Layer, config: object, { row, column }: Place): number | null {
  const all = layer.in * layer.out;
  if (all > MOST_PLACES) return null;
  const [places] = METHODS.fourierft.pattern(layer, {
    ...config,
    n_frequency: all,
    n_frequency_pattern: {},
  } as never).factors;
  if (places?.kind !== 'points') return null;
  const at = places.row.findIndex((one, i) => one === row && places.column[i] === column);
  return at < 0 ? null : at + 1;
}

/** Trains anew as a run was set, but with so many frequencies in one of its modules; the run of before can be taken back. */
export function learnMore(page: Page, run: PageSettings, module: string, count: number): void {
  const before = (run.config.n_frequency_pattern ?? {}) as Readonly<Record<string, number>>;
  // The first that fits counts.
  const { [module]: _, ...others } = before;
  const settings = { ...run, config: { ...run.config, n_frequency_pattern: { [module]: count, ...others } } };
  if (isLeft(page, { settings })) return;
  page.choice.setState({ startFrom: null });
  page.setSettings(settings);
  void page.controller.restart();
}
