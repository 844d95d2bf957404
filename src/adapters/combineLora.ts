/**
 * LoRA adapters combined on their factors: each of A and B is weighted by the root of weight · scaling, so that their product carries the whole; or
 * their ranks side by side ("cat"), which adds the updates exactly.
 *
 * Source: add_weighted_adapter of huggingface/peft.
 */
import { fail } from '../lib/errors.ts';
import { type Combination, combineTensors, type TensorOptions } from './combineTensors.ts';
import { type LoraConfig, loraScale } from './lora/index.ts';
import type { Adapter } from './peft.ts';
import type { AdapterTensor, Layer, ModuleTensors } from './types.ts';

interface Settings extends Omit<TensorOptions, 'type'> {
  readonly weights: readonly number[];
  readonly type: Combination;
}

/** One adapter's factors of a module: A [r, in], B [out, r]. */
interface Factors {
  readonly names: readonly [string, string];
  readonly A: AdapterTensor;
  readonly B: AdapterTensor;
  /** weight · scaling. */
  readonly weight: number;
}

const refuse = (sentence: string): never => fail('illegal-config', sentence);
const LINEAR = ['lora_A.weight', 'lora_B.weight'] as const;
const EMBEDDING = ['lora_embedding_A', 'lora_embedding_B'] as const;

export function combineLora(adapters: readonly Adapter[], settings: Settings) {
  const configs = adapters.map(({ config }) => config as LoraConfig);
  if (configs.some((config) => config.use_dora)) {
    refuse(
      'DoRA adapters cannot be combined: a learned row length belongs to its own update. Merge them one after the other instead.',
    );
  }
  if (configs.some((config) => config.lora_bias)) {
    refuse('LoRA adapters with lora_bias cannot be combined; merge them one after the other instead.');
  }
  if (settings.type !== 'cat' && new Set(configs.map(({ r }) => r)).size > 1) {
    refuse(
      'All adapters must have the same r value when using combination_type linear, ties, dare_ties or dare_linear.',
    );
  }
  const r = settings.type === 'cat' ? configs.reduce((sum, config) => sum + config.r, 0) : configs[0]!.r;
  const modules = [...new Set(adapters.flatMap(({ tensors }) => [...tensors.keys()]))];
  const tensors = new Map<string, ModuleTensors>();
  const ranks: Record<string, number> = {};
  modules.forEach((module, index) => {
    const factors = adapters.flatMap((adapter, i) => factorsOf(adapter, module, settings.weights[i]!));
    const [first] = factors;
    if (!first) return;
    const { A, B } =
      settings.type === 'cat' ? sideBySide(module, factors) : summed(module, factors, settings, index);
    const rank = A.shape[0]!;
    // Alpha equal to the rank makes the scaling 1, as in PEFT.
    if (rank !== r) ranks[`^${module.replaceAll('.', '\\.')}`] = rank;
    tensors.set(
      module,
      new Map([
        [first.names[0], A],
        [first.names[1], B],
      ]),
    );
  });
  return {
    tensors,
    config: { r, lora_alpha: r, use_rslora: false, rank_pattern: ranks, alpha_pattern: ranks },
    warnings: configs.some((config) => config.use_rslora)
      ? [
          'use_rslora is off in the combined adapter: its scaling is in the weights already, and PEFT would apply it once more.',
        ]
      : [],
  };
}

function factorsOf(adapter: Adapter, module: string, weight: number): Factors[] {
  const params = adapter.tensors.get(module);
  for (const names of [LINEAR, EMBEDDING]) {
    const [A, B] = names.map((name) => params?.get(name));
    if (!A || !B) continue;
    const layer: Layer = { name: module, kind: 'linear', in: A.shape[1]!, out: B.shape[0]!, hasBias: false };
    const { scaling } = loraScale(layer, adapter.config as LoraConfig);
    return [{ names, A, B, weight: weight * scaling }];
  }
  return [];
}

function checkSize(module: string, what: string, factors: readonly (readonly number[])[]): void {
  const [first] = factors;
  const odd = factors.find((shape) => shape.join() !== first!.join());
  if (odd) {
    refuse(
      `${module} has ${what} [${first!.join(', ')}] in one adapter and [${odd.join(', ')}] in another; only adapters of one model, with equal ranks, can be combined so.`,
    );
  }
}

function summed(module: string, factors: readonly Factors[], settings: Settings, index: number) {
  checkSize(
    module,
    'A of',
    factors.map(({ A }) => A.shape),
  );
  checkSize(
    module,
    'B of',
    factors.map(({ B }) => B.shape),
  );
  const options = { ...settings, type: settings.type as TensorOptions['type'] };
  // The sign goes to A alone: on both it would cancel.
  const rootsB = factors.map(({ weight }) => Math.sqrt(Math.abs(weight)));
  const rootsA = factors.map(({ weight }, i) => (weight >= 0 ? rootsB[i]! : -rootsB[i]!));
  const combine = (of: 'A' | 'B', roots: readonly number[], stream: number): AdapterTensor => ({
    shape: factors[0]![of].shape,
    data: combineTensors(
      factors.map((f) => f[of].data),
      roots,
      options,
      stream,
    ),
  });
  return { A: combine('A', rootsA, 2 * index), B: combine('B', rootsB, 2 * index + 1) };
}

/** [w₁A₁; w₂A₂; …] and [B₁, B₂, …]. */
function sideBySide(module: string, factors: readonly Factors[]): { A: AdapterTensor; B: AdapterTensor } {
  checkSize(
    module,
    'inputs',
    factors.map(({ A }) => [A.shape[1]!]),
  );
  checkSize(
    module,
    'outputs',
    factors.map(({ B }) => [B.shape[0]!]),
  );
  const rank = factors.reduce((sum, { A }) => sum + A.shape[0]!, 0);
  const [inputs, outputs] = [factors[0]!.A.shape[1]!, factors[0]!.B.shape[0]!];
  const A = new Float32Array(rank * inputs);
  const B = new Float32Array(outputs * rank);
  let row = 0;
  for (const factor of factors) {
    const r = factor.A.shape[0]!;
    A.set(
      factor.A.data.map((value) => value * factor.weight),
      row * inputs,
    );
    for (let o = 0; o < outputs; o++) B.set(factor.B.data.subarray(o * r, (o + 1) * r), o * rank + row);
    row += r;
  }
  return { A: { shape: [rank, inputs], data: A }, B: { shape: [outputs, rank], data: B } };
}
