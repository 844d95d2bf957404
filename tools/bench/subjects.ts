/** What is measured: the embedded models and a graph of GPT-2's shape, each with a batch, the methods' settings and its twin for the peer. */
import type { MethodId } from '../../src/adapters/registry.ts';
import { cliHost } from '../../src/cli/sources.ts';
import { IGNORED_LABEL } from '../../src/data/tensors.ts';
import type { Caps } from '../../src/graph/types.ts';
import { rng } from '../../src/lib/rng.ts';
import { type LoadedModel, loadModel } from '../../src/models/load.ts';
import { encodeModel } from '../../src/onnx/encode.ts';
import type { FullBatch } from '../../src/training/batchPlan.ts';
import { openModel } from '../../src/training/openModel.ts';
import { type Gpt2Shape, gpt2Model } from './gpt2.ts';
import type { PlainTensor } from './peers.ts';

/** A family's forward pass and its sizes. */
export type Shape =
  | { readonly family: 'dinov2'; readonly layers: number; readonly heads: number; readonly patch: number }
  | { readonly family: 'llama'; readonly layers: number; readonly heads: number; readonly kvHeads: number }
  | { readonly family: 'gpt2'; readonly layers: number; readonly heads: number };

export interface Subject {
  readonly name: string;
  /** Sizes in words, for the table's heading. */
  readonly about: string;
  readonly model: LoadedModel;
  readonly batch: FullBatch & { readonly labels: Int32Array };
  readonly batchSize: number;
  readonly sequence: number;
  /** Tokens or classes that it scores. */
  readonly vocabulary: number;
  /** Positions that a step passes through the transformer. */
  readonly tokensPerStep: number;
  readonly configs: Readonly<Partial<Record<MethodId, Readonly<Record<string, unknown>>>>>;
  readonly peer: {
    readonly shape: Shape;
    readonly input: { readonly shape: readonly number[]; readonly data: Float32Array | Int32Array };
    /** Tables that the peer takes as weights. */
    readonly tables: ReadonlyMap<string, PlainTensor>;
  };
}

export const SUBJECTS = ['glyphs-vit', 'tales-gpt', 'medium', 'gpt2'] as const;
export type SubjectName = (typeof SUBJECTS)[number];

/** Sizes of the graphs of GPT-2's shape, in place of the usual. */
export interface Sizes {
  readonly layers?: number;
  /** Examples of a batch. */
  readonly batch?: number;
  /** Tokens of each, at most {@link CONTEXT}. */
  readonly tokens?: number;
}

/** Positions of the graphs of GPT-2's shape. */
export const CONTEXT = 1024;

export interface SubjectOptions extends Sizes {
  readonly caps: Caps;
  /** Computes on the processor: GPT-2's graph is then cut to one layer and a smaller vocabulary, and batches are smaller. */
  readonly software: boolean;
}

const SEED = 7;
const RANK = 8;

/** The methods at the settings their users start from. */
function configsFor(targets: readonly string[], head: string | null): Subject['configs'] {
  const target_modules = [...targets];
  return {
    boft: { target_modules, boft_block_size: 4, boft_n_butterfly_factor: 2, boft_dropout: 0.1 },
    oft: { target_modules, oft_block_size: 32 },
    fourierft: { target_modules, n_frequency: 1000 },
    lora: { target_modules, r: RANK, lora_alpha: 2 * RANK },
    ...(head === null ? {} : { head: { modules_to_save: [head] } }),
    full: {},
  };
}

function randomIds(count: number, below: number): Int32Array {
  const random = rng(SEED, 1);
  return Int32Array.from({ length: count }, () => random.int(below));
}

/** Random token windows; labels are the ids moved one to the left, as in training. */
function textBatch(batch: number, sequence: number, vocabulary: number): Subject['batch'] {
  const ids = randomIds(batch * sequence, vocabulary);
  const labels = new Int32Array(ids.length).fill(IGNORED_LABEL);
  for (let i = 0; i < ids.length; i++) if ((i + 1) % sequence !== 0) labels[i] = ids[i + 1]!;
  const shape = [batch, sequence];
  return {
    inputs: { input_ids: { dtype: 'int32', shape, data: ids } },
    labels,
    count: batch,
    validLabels: batch * (sequence - 1),
    tokens: batch * sequence,
  };
}

async function embedded(name: string): Promise<LoadedModel> {
  return (await openModel({ kind: 'embedded', name }, cliHost)).model;
}

const number = (config: Readonly<Record<string, unknown>>, key: string): number => Number(config[key]);

function glyphsVit(model: LoadedModel): Subject {
  const { config } = model;
  const { width, height, channels } = model.image!;
  const [batchSize, patch] = [16, number(config, 'patch_size')];
  const random = rng(SEED, 2);
  const shape = [batchSize, channels, height, width];
  const pixels = Float32Array.from({ length: batchSize * channels * height * width }, () =>
    random.between(-1, 1),
  );
  const labels = randomIds(batchSize, model.labels!.length);
  const layers = number(config, 'num_hidden_layers');
  const positions = (height / patch) * (width / patch) + 1;
  return {
    name: 'glyphs-vit',
    about: `${layers} layers × ${number(config, 'hidden_size')}, batch ${batchSize} × ${positions} positions`,
    model,
    batch: {
      inputs: { pixel_values: { dtype: 'float32', shape, data: pixels } },
      labels,
      count: batchSize,
      validLabels: batchSize,
      tokens: batchSize,
    },
    batchSize,
    sequence: 128,
    vocabulary: model.labels!.length,
    tokensPerStep: batchSize * positions,
    configs: configsFor(['query', 'value', 'key', 'output.dense', 'mlp.fc1', 'mlp.fc2'], 'classifier'),
    peer: {
      shape: { family: 'dinov2', layers, heads: number(config, 'num_attention_heads'), patch },
      input: { shape, data: pixels },
      tables: new Map(),
    },
  };
}

/** cos and sin [1, S, 1, D] of the rotary embedding. */
function rotaryTables(sequence: number, headDim: number, theta: number): Map<string, PlainTensor> {
  const angle = (i: number): number => {
    const [position, k] = [Math.floor(i / headDim), i % (headDim / 2)];
    return position * theta ** ((-2 * k) / headDim);
  };
  const table = (f: (x: number) => number): PlainTensor => ({
    shape: [1, sequence, 1, headDim],
    data: Float32Array.from({ length: sequence * headDim }, (_, i) => f(angle(i))),
  });
  return new Map([
    ['cos', table(Math.cos)],
    ['sin', table(Math.sin)],
  ]);
}

function talesGpt(model: LoadedModel): Subject {
  const { config } = model;
  const [batchSize, sequence] = [8, 128];
  const batch = textBatch(batchSize, sequence, number(config, 'vocab_size'));
  const [layers, heads] = [number(config, 'num_hidden_layers'), number(config, 'num_attention_heads')];
  const width = number(config, 'hidden_size');
  const targets = ['q_proj', 'k_proj', 'v_proj', 'o_proj', 'gate_proj', 'up_proj', 'down_proj'];
  return {
    name: 'tales-gpt',
    about: `${layers} layers × ${width}, batch ${batchSize} × ${sequence} tokens`,
    model,
    batch,
    batchSize,
    sequence,
    vocabulary: number(config, 'vocab_size'),
    tokensPerStep: batchSize * sequence,
    configs: configsFor(targets, 'lm_head'),
    peer: {
      shape: { family: 'llama', layers, heads, kvHeads: number(config, 'num_key_value_heads') },
      input: batch.inputs.input_ids!,
      tables: rotaryTables(sequence, width / heads, number(config, 'rope_theta')),
    },
  };
}

/** GPT-2 small; on a processor too much of it is cut for its figures to say anything about a GPU. */
function gpt2Small({ caps, software, layers, batch, tokens }: SubjectOptions): Subject {
  // The whole embedding must fit into one binding.
  const whole = 50257 * 768 * 4 <= caps.maxStorageBindingBytes;
  return gpt2Subject('gpt2', {
    layers: layers ?? (software ? 1 : 12),
    width: 768,
    heads: 12,
    vocabulary: software || !whole ? 8192 : 50257,
    batchSize: batch ?? (software ? 1 : 4),
    sequence: tokens ?? (software ? 64 : 256),
  });
}

/** Large enough that attention, the head and long sums count, and small enough for a processor. */
const medium = ({ software, layers = 4, batch, tokens = 256 }: SubjectOptions): Subject =>
  gpt2Subject('medium', {
    ...{ layers, width: 384, heads: 6, vocabulary: 16384 },
    ...{ batchSize: batch ?? (software ? 1 : 8), sequence: tokens },
  });

interface Gpt2Sizes extends Omit<Gpt2Shape, 'context'> {
  readonly batchSize: number;
  readonly sequence: number;
}

function gpt2Subject(name: string, sizes: Gpt2Sizes): Subject {
  const { layers, width, heads, vocabulary, batchSize, sequence } = sizes;
  const onnx = gpt2Model({ layers, width, heads, vocabulary, context: CONTEXT });
  const bytes = encodeModel(onnx);
  const config = new TextEncoder().encode(
    JSON.stringify({ model_type: 'gpt2', n_head: heads, n_embd: width }),
  );
  const model = loadModel([
    { name: 'model.onnx', bytes },
    { name: 'config.json', bytes: config },
  ]);
  const batch = textBatch(batchSize, sequence, vocabulary);
  return {
    name,
    about: `GPT-2's shape, ${layers} ${layers === 1 ? 'layer' : 'layers'} × ${width}, vocabulary ${vocabulary}, batch ${batchSize} × ${sequence} tokens, random weights`,
    model,
    batch,
    batchSize,
    sequence,
    vocabulary,
    tokensPerStep: batchSize * sequence,
    // The head is the embedding itself: there is no module to train alone.
    configs: configsFor(['c_attn', 'c_proj', 'c_fc'], null),
    peer: {
      shape: { family: 'gpt2', layers, heads },
      input: batch.inputs.input_ids!,
      tables: new Map(),
    },
  };
}

export async function openSubject(name: SubjectName, options: SubjectOptions): Promise<Subject> {
  switch (name) {
    case 'glyphs-vit':
      return glyphsVit(await embedded(name));
    case 'tales-gpt':
      return talesGpt(await embedded(name));
    case 'medium':
      return medium(options);
    case 'gpt2':
      return gpt2Small(options);
  }
}
