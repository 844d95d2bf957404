/** The models of a folder, each in a folder of its own, and data made up on the spot in what each of them takes. */
import { basename, join } from 'node:path';
import { METHODS, type MethodId } from '../../../src/adapters/registry.ts';
import { kindOf, listFolder } from '../../../src/cli/runtime.ts';
import { cliHost, modelSource } from '../../../src/cli/sources.ts';
import { fail, PapilioError } from '../../../src/lib/errors.ts';
import { rng } from '../../../src/lib/rng.ts';
import type { LoadedModel } from '../../../src/models/load.ts';
import { type OpenedModel, openModel } from '../../../src/training/openModel.ts';
import type { DataSource, ModelSource, Task } from '../../../src/training/protocol.ts';
import { classNames, taskOf } from '../../../src/training/task.ts';

export interface Subject {
  readonly name: string;
  readonly source: ModelSource;
  readonly opened: OpenedModel;
  readonly parts: Parts;
  /** Null where there is no data for what it takes (sound, two texts at once): such a model is adapted and merged, not trained. */
  readonly training: { readonly task: Task; readonly data: DataSource } | null;
}

/** The folders in a folder that hold a model. */
export async function subjectNames(folder: string): Promise<string[]> {
  const names: string[] = [];
  for (const name of (await listFolder(folder)).sort())
    if ((await kindOf(join(folder, name, 'model.onnx'))) === 'file') names.push(name);
  return names.length > 0 ? names : fail('not-found', `${folder} holds no folder with a model.onnx in it.`);
}

/** @throws PapilioError where the model cannot be read */
export async function openSubject(folder: string): Promise<Subject> {
  const source = await modelSource(join(folder, 'model.onnx'));
  const opened = await openModel(source, cliHost);
  const task = trainingTask(opened);
  return {
    name: basename(folder),
    source,
    opened,
    parts: partsOf(opened.model),
    training: task && { task, data: madeUp(task, opened) },
  };
}

function trainingTask(opened: OpenedModel): Task | null {
  try {
    return taskOf(opened);
  } catch (error) {
    if (error instanceof PapilioError && error.kind === 'unsupported-onnx') return null;
    throw error;
  }
}

/** Words of the tokenizer that are words. */
function wordsOf({ tokenizer }: OpenedModel): string[] {
  const words: string[] = [];
  for (let id = 0; tokenizer && id < tokenizer.vocabSize; id++) {
    const word = tokenizer.token(id)?.replace(/^[Ġ▁]/, '');
    if (word && /^[a-z]{2,}$/.test(word)) words.push(word);
  }
  return words;
}

const ROWS = 12;

function madeUp(task: Task, opened: OpenedModel): DataSource {
  const random = rng(17);
  const words = wordsOf(opened);
  const text = (length: number): string =>
    Array.from({ length }, () => (words.length > 0 ? random.pick(words) : 'word')).join(' ');
  const labels = classNames(opened.model) ?? ['first', 'second'];
  const table = (header: string, row: (i: number) => string): DataSource => ({
    kind: 'files',
    files: [
      {
        name: 'rows.csv',
        bytes: new TextEncoder().encode(
          [header, ...Array.from({ length: ROWS }, (_, i) => row(i))].join('\n'),
        ),
      },
    ],
  });
  switch (task) {
    case 'causal-lm':
    case 'masked-lm':
      return { kind: 'text', text: text(160) };
    case 'regression':
      return table('text,label', () => `${text(3)},${random.normal().toFixed(3)}`);
    case 'text-classification':
      return table('text,label', (i) => `${text(2 + (i % 3))},${labels[i % labels.length]}`);
    case 'token-classification':
      return table('tokens,tags', () => `${text(3)},${[0, 1, 2].map(() => random.pick(labels)).join(' ')}`);
    case 'image-classification':
      return pictures(labels, opened.model.image?.width ?? 16, random);
  }
}

function pictures(labels: readonly string[], size: number, random: ReturnType<typeof rng>): DataSource {
  const image = () => Float32Array.from({ length: size * size }, () => random.uniform());
  return {
    kind: 'drawings',
    size,
    classes: labels.map((label) => ({ label, images: Array.from({ length: 4 }, image) })),
  };
}

// What can be adapted of a model, by kind; which configuration asks a method for it; and each method at a size that suits small models.

type Config = Readonly<Record<string, unknown>>;

/** Small adapters, so that rounding to a legal size and several layers of a group come into play; others as PEFT has them. */
const SIZES: Partial<Readonly<Record<MethodId, Config>>> = {
  oft: { oft_block_size: 4 },
  boft: { boft_block_size: 4 },
  fourierft: { n_frequency: 9, scaling: 20 },
  lora: { r: 2, lora_alpha: 4 },
  adalora: { init_r: 3, target_r: 2, lora_alpha: 4 },
  ia3: { feedforward_modules: [] },
  loha: { r: 2, alpha: 3 },
  lokr: { r: 2, alpha: 3 },
  vera: { r: 4 },
};

const isMatrix = ({ kind }: { readonly kind: string }): boolean => kind === 'linear' || kind === 'conv1d';
const isAttention = (name: string): boolean => /attn|attention/i.test(name);

/** Module names of a model by what they are. */
export interface Parts {
  readonly attention: readonly string[];
  readonly mlp: readonly string[];
  readonly head: readonly string[];
  readonly embedding: readonly string[];
  readonly convolution: readonly string[];
  readonly norm: readonly string[];
}

export function partsOf(model: LoadedModel): Parts {
  const { layers } = model.targets;
  const matrices = layers.filter((l) => isMatrix(l) && l.name !== model.head).map((l) => l.name);
  return {
    attention: matrices.filter(isAttention),
    mlp: matrices.filter((name) => !isAttention(name) && /\.\d+\./.test(name)),
    head: layers.filter((l) => l.name === model.head).map((l) => l.name),
    embedding: layers.filter((l) => l.kind === 'embedding').map((l) => l.name),
    convolution: layers.filter((l) => l.kind === 'conv2d').map((l) => l.name),
    norm: model.modules.filter((m) => m.kind === 'layernorm').map((m) => m.name),
  };
}

export const TARGETS = [
  'default',
  'attention',
  'mlp',
  'all-linear',
  'head',
  'embedding',
  'convolution',
  'saved head',
  'saved embedding',
  'saved norms',
  'all biases',
  'own biases',
] as const;

export type TargetKind = (typeof TARGETS)[number];

const PART: Partial<Readonly<Record<TargetKind, keyof Parts>>> = {
  attention: 'attention',
  mlp: 'mlp',
  head: 'head',
  embedding: 'embedding',
  convolution: 'convolution',
  'saved head': 'head',
  'saved embedding': 'embedding',
  'saved norms': 'norm',
};

/** The choice of modules of a kind; null where the model has none of it, or the method no such setting. */
function chosen(method: MethodId, target: TargetKind, parts: Parts): Config | null {
  const { targets, schema } = METHODS[method];
  const part = PART[target];
  const names = part ? parts[part] : [];
  if (part && names.length === 0) return null;
  // What the others adapt, this one trains whole.
  if (targets === 'none')
    return part && !target.startsWith('saved')
      ? { modules_to_save: names }
      : target === 'default'
        ? {}
        : null;
  if (target === 'default') return {};
  if (target === 'all-linear') return { target_modules: 'all-linear' };
  if (target.startsWith('saved')) return { target_modules: parts.attention, modules_to_save: names };
  if (target.endsWith('biases')) {
    if (!Object.hasOwn(schema.shape, 'bias')) return null;
    return { target_modules: parts.attention, bias: target === 'all biases' ? 'all' : `${method}_only` };
  }
  return { target_modules: names };
}

/** A method's configuration for a kind of target, or null where there is no such combination. */
export function configFor(method: MethodId, target: TargetKind, parts: Parts): Config | null {
  const choice = chosen(method, target, parts);
  return choice && { ...SIZES[method], ...choice };
}
