/** The base model as a folder that transformers opens: config.json, model.safetensors with PyTorch's names and shapes, tokenizer files. */

import { writeSafetensors } from '../adapters/safetensors.ts';
import type { AdapterMethod, AdapterTensor } from '../adapters/types.ts';
import type { BatchOptions } from '../data/batches.ts';
import type { Dataset } from '../data/types.ts';
import type { InputFile } from '../lib/bytes.ts';
import { fail, passOn } from '../lib/errors.ts';
import { jsonOf } from '../lib/json.ts';
import { transposed } from '../lib/numbers.ts';
import { say } from '../lib/say.ts';
import { cutPart } from '../models/import/ir.ts';
import type { ModuleInfo, ParamOrigin } from '../models/import/modules.ts';
import type { LoadedModel } from '../models/load.ts';
import { tensorToF32 } from '../onnx/tensor.ts';

/** Fields of sidecar files that name a place on someone's machine or give access to it. */
const PRIVATE = /^_?name_or_path$|^((hf|auth|use_auth|access|api)_)?token$|cache_dir$/;

const FLOATS = new Set<string>(['float32', 'float16', 'bfloat16', 'float64']);

/** A weight as PyTorch keeps it. GPT-2's Conv1D is (in, out) there, all other matrices are the engine's [out, in]. */
function torchTensor(module: ModuleInfo, origin: ParamOrigin): AdapterTensor {
  const { tensor, part } = origin;
  const dims = part ? tensor.dims.with(part.axis, part.size) : tensor.dims;
  const data = part ? cutPart(tensorToF32(tensor), tensor.dims, part) : tensorToF32(tensor);
  if (dims.length !== 2) return { shape: dims, data };
  // The file holds the transpose of the engine's matrix, or the matrix itself.
  const wanted = module.kind === 'conv1d';
  if (origin.transposed === wanted) return { shape: dims, data };
  const [rows, columns] = dims as [number, number];
  return { shape: [columns, rows], data: transposed(data, dims, new Float32Array(data.length)) };
}

export type Base =
  | { readonly kind: 'folder'; readonly files: readonly InputFile[] }
  | { readonly kind: 'named'; readonly name: string }
  /** Neither: why. */
  | { readonly kind: 'none'; readonly reason: () => string };

/** True for `owner/name` or `name` as on the Hub; paths and addresses are none. */
export const isHubName = (name: unknown): name is string =>
  typeof name === 'string' &&
  name.length <= 96 &&
  /^[\w][\w.-]*(\/[\w][\w.-]*)?$/.test(name) &&
  !/\.onnx$/.test(name);

/** JSON without what is private to a machine or an account. */
export function withoutPrivate(json: Readonly<Record<string, unknown>>): Record<string, unknown> {
  return Object.fromEntries(Object.entries(json).filter(([key]) => !PRIVATE.test(key)));
}

const text = (name: string, value: unknown): InputFile => ({
  name,
  bytes: new TextEncoder().encode(`${JSON.stringify(value, null, 2)}\n`),
});

/** Why the weights of a model cannot be written as PyTorch's, or null. */
function refuse(model: LoadedModel): (() => string) | null {
  if (typeof model.config.model_type !== 'string')
    return () => say`there is no config.json with a model_type beside the ONNX file`;
  for (const module of model.modules)
    for (const [name, { tensor }] of Object.entries(module.parameters))
      if (!FLOATS.has(tensor.dtype))
        return () => say`${module.name}.${name} is kept as ${tensor.dtype} in the ONNX file`;
  return null;
}

/** config.json for transformers: with the model's labels, and without what an ONNX graph does not have. */
function baseConfig({ config, labels }: LoadedModel): Record<string, unknown> {
  const own = withoutPrivate(config);
  if (labels) {
    own.id2label = Object.fromEntries(labels.map((label, i) => [i, label]));
    own.label2id = Object.fromEntries(labels.map((label, i) => [label, i]));
  }
  // Only pretraining uses it, so no exported graph holds it.
  if (config.model_type === 'dinov2') own.use_mask_token = false;
  return own;
}

/** A file beside the model as it goes into the project: settings without what is private, all else byte for byte. */
function sidecar({ name, bytes }: InputFile): InputFile {
  const asIs = { name: `base/${name}`, bytes };
  // The tokenizer is vocabulary; templates and word lists are no JSON.
  if (name === 'tokenizer.json' || !name.endsWith('.json')) return asIs;
  const json = parsed(name, bytes);
  const isPlain = typeof json === 'object' && json !== null && !Array.isArray(json);
  return isPlain ? text(asIs.name, withoutPrivate(json as Record<string, unknown>)) : asIs;
}

/** @throws PapilioError 'malformed-file' */
function parsed(name: string, bytes: Uint8Array): unknown {
  try {
    return jsonOf(new TextDecoder().decode(bytes), name);
  } catch (cause) {
    passOn(cause);
    return fail('malformed-file', say`${name} beside the model is no JSON; mend it or take it away.`, {
      name,
    });
  }
}

/**
 * @param named the name that the adapter's configuration gives the base model, if any
 * @param sidecars the files beside the model: JSON, templates, word lists
 * @throws PapilioError 'malformed-file' for JSON that is none
 */
export function baseOf(model: LoadedModel, named: unknown, sidecars: readonly InputFile[]): Base {
  if (isHubName(named)) return { kind: 'named', name: named };
  const reason = refuse(model);
  if (reason !== null) return { kind: 'none', reason };
  const tensors = new Map<string, AdapterTensor>();
  for (const module of model.modules)
    for (const [name, origin] of Object.entries(module.parameters))
      tensors.set(origin.torch ?? `${module.name}.${name}`, torchTensor(module, origin));
  const others = sidecars.filter(({ name }) => name !== 'config.json').map(sidecar);
  return {
    kind: 'folder',
    files: [
      text('base/config.json', baseConfig(model)),
      { name: 'base/model.safetensors', bytes: writeSafetensors(tensors, { format: 'pt' }) },
      ...others,
    ],
  };
}

// What a run is to the Python project that goes on with it. Plain data: the room knows neither sessions nor devices.

/** The training settings, field by field as the run had them. */
export type RunSettings = Readonly<Record<string, string | number>> & {
  readonly sequenceLength: number;
};

/** A quality measured in the run with the very weights that the project starts from. */
export interface RecordedQuality {
  readonly metric: string;
  readonly value: number;
  readonly loss: number;
  readonly step: number;
  readonly examples: number;
}

export interface PythonRun {
  /** Name of the model as Papilio has it, `glyphs-vit` or `model.onnx`. */
  readonly modelName: string;
  /** The model with the classes of the data. */
  readonly model: LoadedModel;
  /** config.json, tokenizer files and their like. */
  readonly sidecars: readonly InputFile[];
  readonly dataset: Dataset;
  readonly batchOptions: BatchOptions;
  readonly method: AdapterMethod;
  readonly settings: RunSettings;
  /** adapter_config.json and adapter_model.safetensors, as exported. */
  readonly adapter: readonly InputFile[];
  /** Numbers that train: stored. */
  readonly trainable: number;
  /** What quality is measured by: `accuracy`, `perplexity`, … */
  readonly metric: string;
  /** Null where the run was not evaluated at its last step. */
  readonly recorded: RecordedQuality | null;
  /** The text of ids, for people; null without a tokenizer. */
  readonly decode: ((ids: ArrayLike<number>) => string) | null;
}

export interface PythonProject {
  readonly files: readonly InputFile[];
  /** What cannot carry over: sentences, also in README.md. */
  readonly warnings: readonly string[];
}
