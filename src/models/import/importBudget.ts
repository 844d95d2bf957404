/**
 * What reading a model may cost. Whatever the import computes on the CPU lies in arrays that {@link allocate} makes, and is done in steps
 * that {@link spend} counts, so that no operator can ask for more than its file may: sizes are looked at before memory is taken, and the
 * node that asks is named. The import is synchronous, so the budgets and the place in the graph are kept here, not handed about.
 */
import { type Budget, createBudget } from '../../lib/budget.ts';
import { fail, readable } from '../../lib/errors.ts';
import { say } from '../../lib/say.ts';
import { isExternal } from '../../onnx/tensor.ts';
import type { OnnxDType, OnnxModel } from '../../onnx/types.ts';

/** Numbers as they are kept: in as many bytes as their type has, integers beyond a byte as doubles. */
export type Numbers = Float64Array | Float32Array | Uint8Array | Int8Array;

interface Budgets {
  readonly inputBytes: number;
  readonly bytes: Budget;
  /** Of all arrays that were made: those of the folding before may still be there when the next makes its own. */
  readonly made: Budget;
  readonly steps: Budget;
}

let budgets: Budgets | null = null;
let place: () => string = () => say`The model`;

/**
 * What `f` gives, counted against the budgets of an input of so many bytes: the file's, and of what its user asked for besides. Any error
 * it ends in is one of ours: a graph whose parts contradict each other in a way that was not foreseen is a damaged file, and the node is named.
 */
export function withBudget<T>(
  inputBytes: number,
  f: () => T,
  made: Budget = createBudget('madeBytes', inputBytes),
): T {
  const bytes = createBudget('foldedBytes', inputBytes);
  return counting({ inputBytes, bytes, made, steps: createBudget('foldingSteps', inputBytes) }, f);
}

/**
 * One of several foldings of a file, at other sizes: it takes its bytes anew, since of the folding before only constants that hang on no size are still
 * there, and those are counted again; the steps are one sum.
 */
export function oneFolding<T>(f: () => T): T {
  if (!budgets) return f();
  return counting({ ...budgets, bytes: createBudget('foldedBytes', budgets.inputBytes) }, f);
}

function counting<T>(next: Budgets, f: () => T): T {
  const before = budgets;
  budgets = next;
  try {
    return before ? f() : atPlace(say`The model`, f);
  } finally {
    budgets = before;
  }
}

/** Runs `f` at a place in the graph, which its errors name. */
export function atPlace<T>(where: string | (() => string), f: () => T): T {
  const before = place;
  place = typeof where === 'string' ? () => where : where;
  try {
    return readable('malformed-onnx', place, f);
  } finally {
    place = before;
  }
}

/** The place in the graph, as a sentence's subject. */
export const here = (): string => place();

/** "Node /layers/0/Range (Range)"; a node without a name is called by what it gives. */
export const nodeCalled = (node: {
  readonly name: string;
  readonly opType: string;
  readonly outputs: readonly string[];
}): string => {
  const name = node.name || node.outputs.find((output) => output !== '');
  return name ? say`Node ${name} (${node.opType})` : say`A node ${node.opType} without a name`;
};

/** More axes than any model has. */
const MOST_AXES = 64;
/** More numbers than any file can hold. */
const MOST_NUMBERS = 2 ** 46;

/**
 * How many numbers a tensor of this shape has.
 * @throws PapilioError 'malformed-onnx' for sizes that are no sizes
 */
export function checkedSize(shape: readonly number[]): number {
  let [size, empty] = [1, false];
  if (shape.length > MOST_AXES)
    fail('malformed-onnx', say`${here()} has ${shape.length} axes, which no model has; the file is damaged.`);
  for (const d of shape) {
    if (!(Number.isSafeInteger(d) && d >= 0))
      fail(
        'malformed-onnx',
        say`${here()} gives a tensor of the shape [${shape.join(', ')}], which cannot be; the file is damaged.`,
      );
    if (d === 0) empty = true;
    else size *= d;
  }
  if (empty) return 0;
  if (size > MOST_NUMBERS)
    fail(
      'too-large',
      say`${here()} gives a tensor of the shape [${shape.join(', ')}], more than any machine can hold; the file is damaged.`,
    );
  return size;
}

function arrayFor(dtype: OnnxDType) {
  switch (dtype) {
    case 'bool':
    case 'uint8':
    case 'uint4':
      return Uint8Array;
    case 'int8':
    case 'int4':
      return Int8Array;
    case 'float32':
    case 'float16':
    case 'bfloat16':
      return Float32Array;
    default:
      return Float64Array;
  }
}

/**
 * Zeros for a tensor: the only way for the import to take memory of a size that the file sets.
 * @throws PapilioError 'malformed-onnx' for a shape that is none, 'too-large' for more than the file may ask for
 */
export function allocate(dtype: OnnxDType, shape: readonly number[]): Numbers {
  const size = checkedSize(shape);
  const kind = arrayFor(dtype);
  const byteLength = size * kind.BYTES_PER_ELEMENT;
  (budgets?.bytes ?? createBudget('foldedBytes')).take(byteLength, here());
  budgets?.made.take(byteLength, here());
  budgets?.steps.take(size, here());
  return new kind(size);
}

/** Counts an array that an earlier look at the file made and this one takes over. */
export function countAgain(data: Numbers): void {
  budgets?.bytes.take(data.byteLength, here());
  budgets?.steps.take(data.length, here());
}

/** 0, 1, … as a tensor of one axis. */
export function ascending(dtype: OnnxDType, length: number): Numbers {
  const data = allocate(dtype, [length]);
  for (let i = 0; i < data.length; i++) data[i] = i;
  return data;
}

/** Counts what is about to be done. */
export const spend = (steps: number): void => budgets?.steps.take(steps, here());

/** The bytes that a model's tensors lie in; what several share counts once. */
export function bytesBehind({ graph: { initializers, constants }, external }: OnnxModel): number {
  const buffers = new Set<ArrayBufferLike>();
  let bytes = 0;
  for (const file of external.values()) bytes += file.length;
  for (const { proto, byteLength } of [...initializers.values(), ...constants.values()]) {
    const { buffer } = proto.rawData;
    if (isExternal(proto)) continue;
    if (proto.rawData.length === 0) bytes += byteLength;
    else if (!buffers.has(buffer)) {
      buffers.add(buffer);
      bytes += buffer.byteLength;
    }
  }
  return bytes;
}
