/** The settings that a rotation is wired by - OFT or BOFT, d, b, m -, which of them are legal and why the others are not, and which are equal in numbers. */
import { say } from '../../../common.ts';
import { type CommonConfig, type Layer, METHODS, type Pattern } from '../../../methods.ts';
import { whole } from '../../format.ts';

export interface Setting {
  readonly method: 'oft' | 'boft';
  /** d: how many inputs are turned. */
  readonly dimension: number;
  /** b. */
  readonly block: number;
  /** m; 1 for OFT. */
  readonly factors: number;
  /** All blocks are one; OFT alone can. */
  readonly shared: boolean;
}

/** A value that a control offers, with the reason why it is illegal with everything else as it is, or null. */
export interface Stop {
  readonly value: number;
  readonly reason: string | null;
}

/** The setting that a layer's pattern has; null where it does not rotate. */
export function settingOf(method: string, { role, factors }: Pattern): Setting | null {
  const [first] = factors;
  if (role !== 'rotation' || first?.kind !== 'blocks' || (method !== 'oft' && method !== 'boft')) return null;
  return { method, dimension: first.size, block: first.block, factors: factors.length, shared: first.shared };
}

/** A layer to turn. Without outputs, so that the count is of the rotation alone: BOFT's scale of the outputs is no part of it. */
const layerOf = ({ dimension }: Setting): Layer => ({
  name: 'layer',
  kind: 'linear',
  in: dimension,
  out: 0,
  hasBias: false,
});

/** The method's own fields. */
export const fieldsOf = ({ method, block, factors, shared }: Setting): Readonly<Record<string, unknown>> =>
  method === 'oft'
    ? { oft_block_size: block, r: 0, block_share: shared }
    : { boft_block_size: block, boft_block_num: 0, boft_n_butterfly_factor: factors };

const configOf = (setting: Setting): CommonConfig => METHODS[setting.method].schema.parse(fieldsOf(setting));

/** The factors of a legal setting. */
export const patternOf = (setting: Setting): Pattern =>
  METHODS[setting.method].pattern(layerOf(setting), configOf(setting));

/** Free numbers of the rotation. */
export const freeNumbers = (setting: Setting): number =>
  METHODS[setting.method].count(layerOf(setting), configOf(setting)).free;

/** Why a setting is illegal, in plain words, or null. The rules are the methods' own (a test holds the two together). */
export function refusal({ method, dimension: d, block: b, factors: m }: Setting): string | null {
  if (b > d) return say`Blocks of ${b} are larger than the ${d} inputs.`;
  if (method === 'oft') {
    if (m > 1) return say`OFT has one factor; further ones make it BOFT.`;
    return d % b === 0 ? null : say`${b} does not divide ${d}; OFT would take the nearest size that does.`;
  }
  if (d % b !== 0) return say`${b} does not divide ${d}.`;
  if (m === 1) return null;
  if (b % 2 !== 0) return say`With more than one factor blocks are cut in half, and ${b} is odd.`;
  const reach = b * 2 ** (m - 1);
  if (reach > d) return say`With ${m} factors the last would mix ${reach} inputs, and there are ${d}.`;
  return d % reach === 0
    ? null
    : say`With ${m} factors the last would mix ${reach} inputs, and ${d} is not a multiple of that.`;
}

const USUAL_BLOCKS = [2, 3, 4, 6, 8, 12, 16, 24, 32, 48, 64, 96, 128];
const LARGEST_BLOCK = 128;
const MOST_FACTORS = 10;

const ascending = (values: Iterable<number>): number[] => [...new Set(values)].sort((a, b) => a - b);

const stops = (values: readonly number[], at: (value: number) => Setting): Stop[] =>
  values.map((value) => ({ value, reason: refusal(at(value)) }));

/** Usual block sizes, and all that divide d. */
export function blockStops(setting: Setting): Stop[] {
  const { dimension: d, block } = setting;
  const divisors = Array.from({ length: Math.min(d, LARGEST_BLOCK) }, (_, i) => i + 1).filter(
    (b) => b > 1 && d % b === 0,
  );
  const usual = USUAL_BLOCKS.filter((b) => b <= d);
  return stops(ascending([...usual, ...divisors, block]), (value) => ({ ...setting, block: value }));
}

/** One factor and more, up to one that is too many. */
export function factorStops(setting: Setting): Stop[] {
  const { dimension: d, block: b, factors } = setting;
  const most = Math.max(factors, Math.min(MOST_FACTORS, Math.max(2, Math.floor(Math.log2(d / b)) + 2)));
  return stops(
    Array.from({ length: most }, (_, i) => i + 1),
    (value) => ({ ...setting, factors: value }),
  );
}

/** @param others sizes that the model has */
export const dimensionStops = (setting: Setting, others: readonly number[]): Stop[] =>
  stops(ascending([8, 16, 32, 64, 128, 256, 512, 1024, setting.dimension, ...others]), (value) => ({
    ...setting,
    dimension: value,
  }));

/** How many outputs an input reaches through all factors. */
export const reachOf = ({ block, factors }: Setting): number => block * 2 ** (factors - 1);

/** What a rotation reaches, and what it takes to reach everything. */
export interface Reach {
  /** Outputs that an input reaches after the first factor, the second, … */
  readonly after: readonly number[];
  /** The setting with as few factors of these blocks as reach every output; null where none does. */
  readonly dense: Setting | null;
}

export function reachOfAll(setting: Setting): Reach {
  const { dimension: d, block, factors } = setting;
  const after = Array.from({ length: factors }, (_, i) => reachOf({ ...setting, factors: i + 1 }));
  const needed = Math.log2(d / block) + 1;
  const dense = { ...setting, method: needed === 1 ? setting.method : ('boft' as const), factors: needed };
  return { after, dense: Number.isInteger(needed) && refusal(dense) === null ? dense : null };
}

/** "one input reaches 4 → 8 of 128 outputs, all 128 from 6 factors on" */
export function reachText(setting: Setting): string {
  const { dimension: d, block } = setting;
  const { after, dense } = reachOfAll(setting);
  const [outputs, all] = [after.map(whole).join(' → '), whole(d)];
  if (block === d) return say`one input reaches ${outputs} of ${all} outputs, which is all`;
  return dense === null
    ? say`one input reaches ${outputs} of ${all} outputs, and never all with blocks of ${block}`
    : say`one input reaches ${outputs} of ${all} outputs, all ${all} from ${dense.factors} factors on`;
}

/** The rule behind that, and what reaching everything takes beside one rotation of everything. */
export function denseText(setting: Setting): string {
  const { dimension: d, block } = setting;
  const { dense } = reachOfAll(setting);
  const rule = say`An input reaches its block of ${block}, and twice as many with every further factor.`;
  if (dense === null || block === d) return rule;
  const taken = say`All ${whole(d)} take ${dense.factors} factors, with ${whole(freeNumbers(dense))} free numbers; one block of ${whole(d)}, a rotation of everything, has ${whole((d * (d - 1)) / 2)}.`;
  return `${rule} ${taken}`;
}

/**
 * The setting of the other method whose free numbers are nearest; of several, the one that reaches furthest. For OFT a BOFT of at least two
 * factors, since one factor is OFT itself. Null where there is none.
 */
export function partnerOf(setting: Setting): Setting | null {
  const goal = freeNumbers(setting);
  const { dimension } = setting;
  const method = setting.method === 'oft' ? ('boft' as const) : ('oft' as const);
  const offered: Setting[] = [];
  for (let block = 2; block <= dimension; block++)
    for (
      let factors = method === 'oft' ? 1 : 2;
      factors <= (method === 'oft' ? 1 : MOST_FACTORS);
      factors++
    ) {
      const one = { method, dimension, block, factors, shared: false };
      if (dimension % block === 0 && refusal(one) === null) offered.push(one);
    }
  const far = (one: Setting) => Math.abs(freeNumbers(one) - goal);
  const ranked = offered.map((one) => ({ one, far: far(one) }));
  ranked.sort((a, b) => a.far - b.far || reachOf(b.one) - reachOf(a.one));
  return ranked[0]?.one ?? null;
}

/** "BOFT, blocks of 4, 3 factors" */
export const settingText = ({ method, block, factors }: Setting): string =>
  method === 'oft'
    ? say`OFT, blocks of ${block}`
    : factors === 1
      ? say`BOFT, blocks of ${block}, 1 factor`
      : say`BOFT, blocks of ${block}, ${factors} factors`;
