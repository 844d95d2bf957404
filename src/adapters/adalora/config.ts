/** AdaLoRA's settings: PEFT's fields, the ranks that a file keeps, and how dropped triplets leave it. */

import { say } from '../../lib/say.ts';
import { z } from '../../lib/schema.ts';
import { biasField, dropoutField, field, fileFields, layerFields, size } from '../fields.ts';
import { initFields } from '../lora/config.ts';
import type { AdapterTensor, Layer, ModuleTensors, Saving, TensorInit, TensorSpec } from '../types.ts';

/** A field of LoRA that PEFT accepts here and does not read. */
const unread = (what: () => string) => ({
  title: () => '',
  description: () => say`${what()}; AdaLoRA does not read it.`,
  group: 'file' as const,
});

const smoothing = (title: () => string, description: () => string) =>
  field(z.number(), 0.85, { title, description, group: 'advanced', min: 0.01, max: 0.99, step: 0.01 });

export const schema = z.object({
  ...fileFields,
  ...layerFields,
  init_r: field(size(), 12, {
    title: () => say`First rank`,
    description: () =>
      say`Triplets that every layer starts with: a row of A, a column of B and a number between them.`,
    symbol: 'r_0',
    group: 'main',
    min: 1,
    max: 256,
    step: 1,
  }),
  target_r: field(size(), 8, {
    title: () => say`Final rank`,
    description: () =>
      say`Triplets per layer that are left in the end, on average: important layers keep more. At the first rank or above, all stay.`,
    symbol: 'r_T',
    group: 'main',
    min: 1,
    max: 256,
    step: 1,
  }),
  lora_alpha: field(z.number(), 8, {
    title: () => say`Alpha`,
    description: () => say`The update is scaled by alpha / first rank.`,
    symbol: '\\alpha',
    group: 'main',
    min: 0,
  }),
  lora_dropout: dropoutField(),
  orth_reg_weight: field(z.number(), 0.5, {
    title: () => say`Orthogonality`,
    description: () =>
      say`Weight of a second loss while training that keeps the rows of A and the columns of B orthonormal; curves show the first loss alone.`,
    group: 'main',
    min: 0,
    max: 10,
  }),
  tinit: field(z.int().min(0), 0, {
    title: () => say`Steps before`,
    description: () => say`Steps before the first triplet is dropped.`,
    symbol: 't_i',
    group: 'advanced',
    min: 0,
  }),
  tfinal: field(z.int().min(0), 0, {
    title: () => say`Steps after`,
    description: () => say`Last steps, in which the choice no longer changes.`,
    symbol: 't_f',
    group: 'advanced',
    min: 0,
  }),
  deltaT: field(z.int().min(1), 1, {
    title: () => say`Interval`,
    description: () => say`Steps from one choice to the next.`,
    symbol: '\\Delta_T',
    group: 'advanced',
    min: 1,
    max: 1000,
    step: 1,
  }),
  beta1: smoothing(
    () => say`Memory of importance`,
    () => say`Share of the old importance that is kept at each step.`,
  ),
  beta2: smoothing(
    () => say`Memory of uncertainty`,
    () => say`Share of the old uncertainty that is kept at each step.`,
  ),
  total_step: field(z.int().nullable(), null, {
    title: () => say`Schedule length`,
    description: () => say`Steps that the schedule spans; left open, those of the run.`,
    symbol: 'T',
    group: 'advanced',
  }),
  bias: biasField('lora_only'),
  init_lora_weights: field(z.union([z.boolean(), z.string()]), true, {
    title: () => say`Initialisation`,
    description: () =>
      say`true: A and B small and random, the numbers between them zero, so no effect at the start; false: all random.`,
    group: 'advanced',
    options: [true, false],
  }),
  rank_pattern: field(z.record(z.string(), z.array(z.boolean())).nullable(), null, {
    title: () => '',
    description: () => say`Which triplets of each module were kept; it belongs to the file.`,
    group: 'file',
  }),
  r: field(
    size(),
    8,
    unread(() => say`The rank of LoRA`),
  ),
  alpha_pattern: field(
    z.record(z.string(), z.number()),
    {},
    unread(() => say`LoRA’s alpha by module`),
  ),
  use_rslora: field(
    z.boolean(),
    false,
    unread(() => say`LoRA’s scaling for high ranks`),
  ),
  use_dora: field(
    z.boolean(),
    false,
    unread(() => say`LoRA’s learned row lengths`),
  ),
  lora_bias: field(
    z.boolean(),
    false,
    unread(() => say`LoRA’s bias in B`),
  ),
  ...initFields,
});

export type AdaloraConfig = z.output<typeof schema>;
export type RankPattern = AdaloraConfig['rank_pattern'];

/** The factor of B·(A ⊙ E): PEFT divides by the first rank, even where a file has kept fewer, and by a hair more. */
export const adaloraScale = (rank: number, config: AdaloraConfig): number =>
  (config.lora_alpha > 0 ? config.lora_alpha : rank) / (config.init_r + 1e-5);

export function tensors(layer: Layer, config: AdaloraConfig): readonly TensorSpec[] {
  const rank = rankOf(layer, config);
  const usual = config.init_lora_weights !== false;
  const normal: TensorInit = { kind: 'normal', mean: 0, std: usual ? 0.02 : 1 };
  const spec = (name: string, shape: readonly number[], init: TensorInit): TensorSpec => ({
    name,
    shape,

    init,
  });
  return [
    spec('lora_A', [rank, layer.in], normal),
    spec('lora_B', [layer.out, rank], normal),
    spec('lora_E', [rank, 1], usual ? { kind: 'zeros' } : normal),
  ];
}

export const unusedRank = (): string =>
  say`Note that \`r\` is not used in AdaLora and will be ignored.If you intended to set the initial rank, use \`init_r\` instead.`;

// AdaLoRA's ranks in files: rows of dropped triplets are left out, and `rank_pattern` says which they were.

/** The state that says of every triplet whether it is kept, in the order of the packed buffer. */
export const MASK = 'adalora.mask';

const keyOf = (module: string): string => `${module}.lora_E`;

/** What `rank_pattern` says of a module, or null. PEFT's memory, unlike its files, has the adapter's name after `lora_E`. */
function keptOf(pattern: RankPattern, module: string): readonly boolean[] | null {
  if (pattern === null) return null;
  const key = keyOf(module);
  if (Object.hasOwn(pattern, key)) return pattern[key]!;
  const named = Object.keys(pattern).find((k) => k.startsWith(`${key}.`));
  return named === undefined ? null : pattern[named]!;
}

/** Triplets that a layer has: all of `init_r`, or those that a file's rank_pattern keeps. */
export function rankOf(layer: Layer, config: Pick<AdaloraConfig, 'init_r' | 'rank_pattern'>): number {
  return keptOf(config.rank_pattern, layer.name)?.filter(Boolean).length ?? config.init_r;
}

/** Drops what the mask drops. Where nothing ever was, the adapter is saved whole and without a pattern, as by PEFT. */
export async function withoutDropped({ config, layers, tensors, state }: Saving<AdaloraConfig>) {
  const isWhole = layers.every((layer) => rankOf(layer, config) === 0);
  const mask = isWhole ? new Float32Array(0) : await state(MASK);
  if (config.rank_pattern === null && !mask.includes(0)) return { config, tensors };
  const byName = new Map(layers.map((layer) => [layer.name, layer]));
  const pattern: Record<string, boolean[]> = {};
  const kept = new Map<string, ModuleTensors>();
  let at = 0;
  for (const [module, params] of tensors) {
    const layer = byName.get(module)!;
    const rank = rankOf(layer, config);
    const own = Array.from(mask.subarray(at, at + rank), (m) => m !== 0);
    at += rank;
    kept.set(module, keepRows(params, layer, own));
    // A file that left triplets out before: its pattern counts them still.
    let next = 0;
    const before = keptOf(config.rank_pattern, module) ?? own.map(() => true);
    pattern[keyOf(module)] = before.map((was) => was && own[next++]!);
  }
  return { config: { ...config, rank_pattern: pattern }, tensors: kept };
}

function keepRows(params: ModuleTensors, layer: Layer, kept: readonly boolean[]): ModuleTensors {
  const rows = kept.flatMap((keep, i) => (keep ? [i] : []));
  const old = kept.length;
  const of = (name: string) => params.get(name)?.data ?? new Float32Array(0);
  const byRow = (data: Float32Array, width: number): AdapterTensor => {
    const out = new Float32Array(rows.length * width);
    rows.forEach((row, i) => {
      out.set(data.subarray(row * width, (row + 1) * width), i * width);
    });
    return { shape: [rows.length, width], data: out };
  };
  const B = of('lora_B');
  const columns = Float32Array.from(
    { length: layer.out * rows.length },
    (_, i) => B[Math.floor(i / rows.length) * old + rows[i % rows.length]!]!,
  );
  return new Map([
    ['lora_A', byRow(of('lora_A'), layer.in)],
    ['lora_B', { shape: [layer.out, rows.length], data: columns }],
    ['lora_E', byRow(of('lora_E'), 1)],
  ]);
}
