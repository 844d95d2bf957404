/** What the graph inputs of a model are, which sizes they take, and what they hold when nobody feeds them. */
import type { DType } from '../../graph/types.ts';
import { fail } from '../../lib/errors.ts';
import { isFloat } from '../../onnx/dtype.ts';
import type { Dim, OnnxGraph, ValueInfo } from '../../onnx/types.ts';
import { filled } from './evaluateOps.ts';
import type { FoldedValue, Known } from './folded.ts';
import { knownValue, makeValue } from './folded.ts';
import { feedNames, type InputKind, inputKinds } from './inputRoles.ts';
import { allot, at } from './room.ts';

export interface InputSpec {
  readonly name: string;
  /** The name that batches give it, and the built graph's input has. */
  readonly feed: string;
  readonly kind: InputKind;
  readonly dtype: DType;
  /** As the file declares them: sizes, symbols, or null. */
  readonly dims: readonly Dim[];
}

/** Sizes of one build. Symbols of the file may be given by name too. */
export interface BuildDims {
  readonly batch: number;
  /** Tokens per example. */
  readonly sequence?: number;
  /** Tokens already in the cache; 0 unless told. */
  readonly past?: number;
  readonly height?: number;
  readonly width?: number;
  readonly [symbol: string]: number | undefined;
}

/** @throws PapilioError 'unsupported-onnx' for inputs that no batch can be fed into */
export function inputSpecs(graph: OnnxGraph, config: Readonly<Record<string, unknown>> = {}): InputSpec[] {
  const states = graph.inputs.filter(({ name }) => /^past_(conv|ssm|recurrent)/.test(name));
  if (states.length > 0) {
    fail(
      'unsupported-onnx',
      `The model keeps states of convolutions or recurrences (${states[0]!.name}), and Papilio trains only transformers whose cache is keys and values; pick a model without such layers.`,
    );
  }
  const kinds = inputKinds(graph, config);
  const feeds = feedNames(kinds);
  return graph.inputs.map((v) => {
    if (v.dtype === null || v.dims === null) {
      fail(
        'unsupported-onnx',
        `Input ${v.name} is not a tensor of known rank; export the model with its input shapes.`,
      );
    }
    return {
      name: v.name,
      feed: feeds.get(v.name)!,
      kind: kinds.get(v.name)!,
      dtype: isFloat(v.dtype) ? 'f32' : 'i32',
      dims: v.dims,
    };
  });
}

/**
 * Inputs that stay inputs unless the caller says otherwise: what differs between examples. A decoder's tokens have no padding before
 * them, so that its mask is full; what an encoder before it reads may have.
 */
export function defaultData(specs: readonly InputSpec[], decoder: boolean): string[] {
  const both = specs.some(({ name }) => /^decoder_input_ids$|^encoder_hidden_states$/.test(name));
  const full = ({ name }: InputSpec): boolean => decoder && !(both && !name.startsWith('decoder_'));
  return specs
    .filter(
      (spec) =>
        spec.kind === 'input_ids' ||
        spec.kind === 'pixel_values' ||
        spec.kind === 'other' ||
        (spec.kind === 'attention_mask' && !full(spec)),
    )
    .map(({ name }) => name);
}

/** Numbers of config.json that inputs may be sized by. */
export interface SizeHints {
  readonly channels?: number;
  readonly imageSize?: number;
  readonly kvHeads?: number;
  readonly headDim?: number;
}

function sizeOfDim(
  spec: InputSpec,
  axis: number,
  dims: BuildDims,
  hints: SizeHints,
  cached: boolean,
): number {
  const declared = spec.dims[axis]!;
  if (typeof declared === 'number') return declared;
  const given = declared !== null && Object.hasOwn(dims, declared) ? dims[declared] : undefined;
  if (given !== undefined) return given;
  const past = dims.past ?? 0;
  const sequence = (): number =>
    dims.sequence ?? fail('bad-argument', `Input ${spec.name} needs a sequence length; give sequence.`);
  const byKind = (): number | undefined => {
    // onnxruntime's GPT-2 keeps keys and values in one tensor [2, B, heads, past, D].
    const pair = spec.kind === 'past' && spec.dims.length === 5;
    if (pair) return [2, dims.batch, hints.kvHeads, past, hints.headDim][axis];
    if (axis === 0 && spec.kind !== 'flag') return dims.batch;
    switch (spec.kind) {
      case 'input_ids':
      case 'token_type_ids':
      case 'position_ids':
        return axis === 1 ? sequence() : undefined;
      case 'attention_mask':
        return axis === 1 ? sequence() + (cached ? past : 0) : undefined;
      case 'pixel_values':
        return [dims.batch, hints.channels, dims.height ?? hints.imageSize, dims.width ?? hints.imageSize][
          axis
        ];
      case 'past':
        return [dims.batch, hints.kvHeads, past, hints.headDim][axis];
      default:
        return undefined;
    }
  };
  const byName = (): number | undefined => {
    if (declared === null) return undefined;
    if (/batch/i.test(declared)) return dims.batch;
    if (/past.*\+|total/i.test(declared)) return past + sequence();
    if (/past/i.test(declared)) return past;
    if (/seq|len/i.test(declared)) return sequence();
    return undefined;
  };
  return (
    byKind() ??
    byName() ??
    fail(
      'bad-argument',
      `Input ${spec.name} has the free dimension ${declared ?? axis}; its size is not known. Give it by name.`,
    )
  );
}

/** What an input holds when it is no data: a full mask, positions in order, segment 0, an empty cache. */
function usual(spec: InputSpec, info: ValueInfo, shape: readonly number[], past: number): Known {
  const dtype = info.dtype!;
  if (spec.kind === 'attention_mask') return filled(dtype, shape, 1);
  if (spec.kind === 'position_ids') {
    const row = shape.at(-1) ?? 1;
    const k = filled(dtype, shape, 0);
    for (let i = 0; i < k.data.length; i++) k.data[i] = past + (i % row);
    return k;
  }
  return filled(dtype, shape, 0);
}

/**
 * A folded value for every graph input.
 * @param data names of the inputs that stay inputs
 * @param fixed contents for others, in place of the usual ones
 */
export function bindInputs(
  graph: OnnxGraph,
  specs: readonly InputSpec[],
  dims: BuildDims,
  hints: SizeHints,
  data: ReadonlySet<string>,
  fixed: ReadonlyMap<string, ArrayLike<number>> = new Map(),
): Map<string, FoldedValue> {
  const cached = specs.some(({ kind }) => kind === 'past');
  const bindings = new Map<string, FoldedValue>();
  const bind = (spec: InputSpec, i: number): void => {
    const info = graph.inputs[i]!;
    const shape = spec.dims.map((_, axis) => sizeOfDim(spec, axis, dims, hints, cached));
    if (
      typeof spec.dims[0] === 'number' &&
      spec.kind !== 'flag' &&
      spec.kind !== 'past' &&
      shape[0] !== dims.batch
    ) {
      fail(
        'shape',
        `The file fixes the first dimension of ${spec.name} at ${shape[0]}, so a batch of ${dims.batch} cannot run; use that batch size.`,
      );
    }
    const dtype = info.dtype!;
    const contents = fixed.get(spec.name);
    if (data.has(spec.name)) bindings.set(spec.name, makeValue(spec.feed, dtype, shape, { input: true }));
    else if (contents) {
      const data = allot(dtype, shape);
      data.set(contents);
      bindings.set(spec.name, knownValue(spec.name, { dtype, shape, data }));
    } else bindings.set(spec.name, knownValue(spec.name, usual(spec, info, shape, dims.past ?? 0)));
  };
  specs.forEach((spec, i) => {
    at(`Input ${spec.name}`, () => bind(spec, i));
  });
  return bindings;
}
