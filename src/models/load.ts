/**
 * A model as the trainer takes it: the ONNX file with Hugging Face's sidecar files, what it is for, its layers and parameters by PyTorch
 * name, and a function that builds its graph at any batch size.
 */
import { type Preprocessing, preprocessingOf } from '../data/preprocessing.ts';
import { type Builder, createBuilder } from '../graph/builder.ts';
import type { Graph, Value } from '../graph/types.ts';
import { fail } from '../lib/errors.ts';
import type { OnnxModel } from '../onnx/types.ts';
import { emitStored, storedNumbers, storedParameter } from '../ops/fuse/stored.ts';
import { type ImportedModel, importModel } from './import/importModel.ts';
import type { ModuleInfo } from './import/modules.ts';
import type { Precision } from './import/quantStore.ts';
import { type ReadModel, readOnnx } from './readOnnx.ts';
import { resizeHead } from './resizeHead.ts';

export type ModelTask = 'image-classification' | 'causal-lm' | 'masked-lm' | 'text-classification' | 'other';

/** A file beside others, by its name alone. */
export interface ModelFile {
  readonly name: string;
  readonly bytes: Uint8Array;
}

export interface ModelLayer {
  readonly name: string;
  readonly kind: 'linear' | 'conv1d' | 'embedding' | 'conv2d';
  readonly in: number;
  readonly out: number;
  readonly hasBias: boolean;
  /** Of a convolution: height and width. */
  readonly kernel?: readonly [number, number];
}

export interface ModelParameter {
  readonly name: string;
  readonly shape: readonly number[];
  /** In numbers, as the engine computes with them: rounded, where the weight is kept in fewer bits. */
  readonly load: () => Float32Array;
  /** Emits the parameter as f32, widened from the form it is stored in. */
  readonly emit: (g: Builder) => Value;
  /** The engine keeps it in fewer bits than the file. */
  readonly rounded: boolean;
}

export interface LoadedModel {
  readonly onnx: OnnxModel;
  /** Where `onnx` was joined of an encoder's and a decoder's file: the two again, with the weights of a changed model. */
  readonly separate: ReadModel['separate'];
  /** What the weights were loaded as. */
  readonly precision: Precision;
  readonly family: string;
  readonly task: ModelTask;
  readonly modules: readonly ModuleInfo[];
  readonly parameters: readonly ModelParameter[];
  /** What target matching reads. */
  readonly targets: {
    readonly layers: readonly ModelLayer[];
    readonly outputEmbedding: string | null;
    readonly modelType: string | null;
  };
  /** Class names of config.json, where the model is a classifier. */
  readonly labels: readonly string[] | null;
  /** Size and channels of the pictures that the model takes, and what makes such of any other. */
  readonly image: Preprocessing | null;
  /** Name of the scored output and of the module that computes it. */
  readonly output: string;
  readonly head: string | null;
  readonly config: Readonly<Record<string, unknown>>;
  readonly warnings: readonly string[];
  /** When onnxruntime rounds the activations of this file to 8 bits, which stay float here: what a comparison of the two must allow for. */
  readonly activationsQuantised: ImportedModel['activationsQuantised'];
  /** The frozen graph; `also` names inputs that are fed besides the usual ones. */
  build(
    batch: number,
    sequence: number,
    also?: readonly string[],
  ): { readonly graph: Graph; readonly logits: Value };
  /** The same model rounded to another precision; nothing is read again. */
  at(precision: Precision): LoadedModel;
  /** The same model for these classes: itself if it has as many, else with a new, random head. */
  withClasses(labels: readonly string[], seed: number): LoadedModel;
}

function parseJson(files: readonly ModelFile[], name: string): Record<string, unknown> {
  const file = files.find((f) => f.name === name);
  if (!file) return {};
  try {
    const value: unknown = JSON.parse(new TextDecoder().decode(file.bytes));
    if (typeof value === 'object' && value !== null) return value as Record<string, unknown>;
  } catch {
    // The sentence below says it.
  }
  return fail(
    'malformed-file',
    `${name} is no JSON object; take it anew from where the model came from, or leave it out.`,
  );
}

/** A convolution's kernel, as the file's weight [out, channels, kh, kw] tells it. */
export function kernelOf({ kind, parameters }: ModuleInfo): { readonly kernel?: readonly [number, number] } {
  const [, , height, width] = parameters.weight?.tensor.dims ?? [];
  return kind === 'conv2d' && height !== undefined && width !== undefined ? { kernel: [height, width] } : {};
}

const isLayer = (kind: string): kind is ModelLayer['kind'] =>
  kind === 'linear' || kind === 'conv1d' || kind === 'embedding' || kind === 'conv2d';

/** @throws PapilioError 'malformed-onnx' or 'unsupported-onnx' */
export function loadModel(files: readonly ModelFile[]): LoadedModel {
  const { onnx, separate } = readOnnx(files);
  return describeModel(
    onnx,
    parseJson(files, 'config.json'),
    parseJson(files, 'preprocessor_config.json'),
    'file',
    [],
    separate,
  );
}

function describeModel(
  onnx: OnnxModel,
  config: Readonly<Record<string, unknown>>,
  preprocessor: Readonly<Record<string, unknown>>,
  precision: Precision,
  warnings: readonly string[],
  separate: ReadModel['separate'],
): LoadedModel {
  const imported = importModel(onnx, { config });
  const pixels = imported.inputs.find((i) => i.kind === 'pixel_values');
  const [channels, height, width] = (pixels?.dims.slice(1) ?? []).map((d) =>
    typeof d === 'number' ? d : null,
  );
  const image = pixels
    ? preprocessingOf(preprocessor, config, {
        channels: channels ?? (config.num_channels === 1 ? 1 : 3),
        height: height ?? null,
        width: width ?? null,
      })
    : null;

  const build = (batch: number, sequence: number, also: readonly string[] = []) => {
    const g = createBuilder();
    const dims = { batch, sequence, ...(image ? { height: image.height, width: image.width } : {}) };
    const { outputs } = imported.build(g, dims, { precision, also });
    const logits =
      outputs[output] ?? fail('unsupported-onnx', `The model has no output ${output} to train on.`);
    return { graph: g.finish({ logits }), logits };
  };
  const output = imported.outputs.includes('logits') ? 'logits' : imported.outputs[0]!;
  const probe = build(1, 8);
  const rank = probe.logits.shape.length;
  // Sound, or tokens for two halves: there is no data for these.
  const strange = imported.inputs.some(({ name, kind }) => kind === 'other' || name === 'decoder_input_ids');
  const task: ModelTask = strange
    ? 'other'
    : pixels
      ? rank === 2
        ? 'image-classification'
        : 'other'
      : rank === 3
        ? imported.decoder
          ? 'causal-lm'
          : 'masked-lm'
        : 'text-classification';
  const head = headOf(probe.logits);
  const headModule = imported.modules.find((m) => m.name === head) ?? null;

  const parameters = parametersOf(probe.graph, imported.modules);

  const layers = imported.modules.flatMap((m): ModelLayer[] =>
    isLayer(m.kind) && m.parameters.weight
      ? [
          {
            ...{ name: m.name, kind: m.kind, in: m.in, out: m.out },
            hasBias: m.parameters.bias !== undefined,
            ...kernelOf(m),
          },
        ]
      : [],
  );
  const id2label = config.id2label as Record<string, string> | undefined;
  const classes = probe.logits.shape.at(-1)!;
  const labels =
    rank === 2 && id2label && Object.keys(id2label).length === classes
      ? Array.from({ length: classes }, (_, i) => String(id2label[i] ?? i))
      : null;

  return {
    onnx,
    family: imported.family,
    task,
    modules: imported.modules,
    parameters,
    targets: {
      layers,
      outputEmbedding: task === 'causal-lm' || task === 'masked-lm' ? head : null,
      modelType: typeof config.model_type === 'string' ? config.model_type : null,
    },
    labels,
    image,
    output,
    head,
    config,
    precision,
    separate,
    activationsQuantised: imported.activationsQuantised,
    warnings: [...warnings, ...imported.notes, ...roundingNotes(precision, parameters)],
    build,
    at: (other) => describeModel(onnx, config, preprocessor, other, warnings, separate),
    withClasses(wanted, seed) {
      if (wanted.length === classes) return this;
      if (!headModule) {
        return fail(
          'unsupported-onnx',
          `The model gives ${classes} classes but the data has ${wanted.length}, and its last layer was not recognised; export it with a linear classifier.`,
        );
      }
      const named = Object.fromEntries(wanted.map((label, i) => [i, label]));
      const resized = resizeHead(onnx, headModule, output, wanted.length, seed);
      const note = `${head} is new: ${wanted.length} classes instead of ${classes}, starting at random.`;
      const changed = { ...config, id2label: named };
      return describeModel(resized, changed, preprocessor, precision, [...warnings, note], separate);
    },
  };
}

/** The module of the linear layer whose output the logits are. */
function headOf(logits: Value): string | null {
  let value = logits;
  while (value.producer?.op.name === 'view') value = value.producer.inputs[0]!;
  return value.producer?.op.name === 'linear' ? (value.producer.module ?? null) : null;
}

/** Every weight that the graph reads, as the float matrix or vector that it stands for. */
function parametersOf(graph: Graph, modules: readonly ModuleInfo[]): ModelParameter[] {
  const kept = new Map(
    modules.flatMap((m) =>
      Object.values(m.parameters).map((p) => [p.value, p.quant ?? p.tensor.dtype] as const),
    ),
  );
  const known = new Map<string, Value>();
  for (const v of graph.nodes.flatMap((node) => node.inputs)) {
    const stored = v.dtype === 'f32' ? storedParameter(v) : null;
    if (stored) known.set(stored.name, v);
  }
  return [...known].map(([name, v]) => ({
    name,
    shape: v.shape,
    load: () => storedNumbers(v),
    emit: (g) => emitStored(g, v),
    rounded:
      storedParameter(v) !== v &&
      (kept.get(name) === 'float32' ||
        kept.get(name) === 'double' ||
        (kept.get(name) === 'float16' && storedParameter(v)!.dtype === 'u32')),
  }));
}

/** What rounding while loading means for the merged file. */
function roundingNotes(precision: Precision, parameters: readonly ModelParameter[]): string[] {
  const count = parameters.filter((p) => p.rounded).length;
  if (count === 0) return [];
  return [
    `${count} weights were rounded to ${precision === 'q4' ? '4 bits (look-up tables to f16)' : 'f16'} while loading; a merged file holds them rounded, in its own type, as the adapter was trained on them.`,
  ];
}
