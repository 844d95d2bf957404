/**
 * Places of a spectrum that a run does not learn. Which are learnt follows from their number and a seed, as in PEFT, whose files hold no places: the first
 * so many of one shuffled order. So a further place comes with all that the seed draws before it, and is learnt by a new run alone.
 */
import { isWholeNumber, type Layer, METHODS } from '../../../methods.ts';
import type { ModelReport } from '../../../protocol.ts';
import type { Page } from '../../page.ts';
import { fullConfig, layersOf, type PageSettings } from '../setup/settings.ts';
import { trainAnew } from '../training/trainAnew.ts';

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

/** Frequencies that are learnt, by their number. */
interface Learnt {
  readonly rows: ArrayLike<number>;
  readonly columns: ArrayLike<number>;
}

/** Frequencies by module, or by an expression for some of them. */
type Counts = Readonly<Record<string, number>>;

interface Size {
  readonly rows: number;
  readonly columns: number;
}

/** The other place of the same wave: ΔW is a real part, and the cosine of (−u, −v) is that of (u, v). */
export const mirrored = ({ row, column }: Place, { rows, columns }: Size): Place => ({
  row: (rows - row) % rows,
  column: (columns - column) % columns,
});

/** The number of the frequency that is the wave of this place, here or at its other place; null where it is not learnt. */
export function learntAs({ rows, columns }: Learnt, size: Size, place: Place): number | null {
  const both = [place, mirrored(place, size)];
  for (let k = 0; k < rows.length; k++)
    if (both.some(({ row, column }) => rows[k] === row && columns[k] === column)) return k;
  return null;
}

/**
 * How many frequencies a layer must learn for the wave of this place to be among them.
 *
 * @param config the run's, whole
 * @returns null where the plane is too large for its order to be drawn here
 */
export function countWith(layer: Layer, config: object, place: Place): number | null {
  const all = layer.in * layer.out;
  if (all > MOST_PLACES) return null;
  const [places] = METHODS.fourierft.pattern(layer, {
    ...config,
    n_frequency: all,
    n_frequency_pattern: {},
  } as never).factors;
  if (places?.kind !== 'points') return null;
  const at = learntAs({ rows: places.row, columns: places.column }, places, place);
  return at === null ? null : at + 1;
}

/**
 * The run's numbers of frequencies by module, but so many in one of them. The first key that fits counts: the module's name, or where other keys fit
 * it too, or it fits other modules, an expression for this name alone. PEFT puts `.*\.` before a key and groups nothing, so `(?!)`, which nothing fits,
 * takes that, and the name stands by itself. A key that is a whole number would come before it wherever it stands, and becomes an expression for the same
 * names.
 *
 * @param layers of the model
 * @param config the run's, whole
 */
export function patternWith(layers: readonly Layer[], config: object, module: string, count: number): Counts {
  const before = (config as { readonly n_frequency_pattern?: Counts }).n_frequency_pattern ?? {};
  const countOf = (layer: Layer, n_frequency_pattern: Counts) =>
    METHODS.fourierft.count(layer, { ...config, n_frequency_pattern } as never).free;
  const first = (key: string): Counts => {
    const others = Object.entries(before).filter(([other]) => other !== key);
    return {
      [key]: count,
      ...Object.fromEntries(
        others.map(([other, value]) => [isWholeNumber(other) ? `(?!)|(.*\\.)?${other}` : other, value]),
      ),
    };
  };
  const byExpression = first(`(?!)|${module.replace(/[\\^$.*+?()[\]{}|]/g, '\\$&')}`);
  if (isWholeNumber(module)) return byExpression;
  const byName = first(module);
  const isEnough = layers.every(
    (layer) => countOf(layer, byName) === (layer.name === module ? count : countOf(layer, before)),
  );
  return isEnough ? byName : byExpression;
}

/** Trains anew as a run was set, but with so many frequencies in one of its modules; the run of before can be taken back. */
export function learnMore(
  page: Page,
  run: PageSettings,
  report: ModelReport,
  module: string,
  count: number,
): void {
  const n_frequency_pattern = patternWith(layersOf(report), fullConfig(run, report), module, count);
  trainAnew(page, { ...run, config: { ...run.config, n_frequency_pattern } });
}
