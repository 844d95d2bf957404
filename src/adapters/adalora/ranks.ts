/** AdaLoRA's ranks in files: rows of dropped triplets are left out, and `rank_pattern` says which they were. */
import type { AdapterTensor, Layer, ModuleTensors, Saving } from '../types.ts';
import type { AdaloraConfig, RankPattern } from './index.ts';

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
