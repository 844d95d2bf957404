/** Elementwise functions of two tensors with NumPy's broadcasting. */
import { defineOp } from '../graph/defineOp.ts';
import { broadcastShapes, sizeOf } from '../graph/shape.ts';
import type { DType, Emitter, OpCase, TensorType, Value } from '../graph/types.ts';
import { fail } from '../lib/errors.ts';
import { eight, forEachStrided, MAX_RANK, mergeBroadcast, perElement, WORKGROUP } from './dispatch.ts';
import { emptyTensor } from './reference.ts';
import { scale } from './scale.ts';
import { sumTo } from './sumTo.ts';
import { unary } from './unary.ts';
import { where, zero } from './where.ts';

interface BinaryFunction {
  /** Its number in binary.wgsl. */
  readonly code: number;
  readonly value: (a: number, b: number) => number;
  /** A truth value: gives i32, 0 or 1. */
  readonly truth?: boolean;
}

const floorMod = (a: number, b: number): number => a - b * Math.floor(a / b);

const functions = {
  add: { code: 0, value: (a, b) => a + b },
  sub: { code: 1, value: (a, b) => a - b },
  mul: { code: 2, value: (a, b) => a * b },
  div: { code: 3, value: (a, b) => a / b },
  pow: { code: 4, value: (a, b) => a ** b },
  min: { code: 5, value: Math.min },
  max: { code: 6, value: Math.max },
  equal: { code: 7, value: (a, b) => Number(a === b), truth: true },
  less: { code: 8, value: (a, b) => Number(a < b), truth: true },
  greater: { code: 9, value: (a, b) => Number(a > b), truth: true },
  lessEqual: { code: 10, value: (a, b) => Number(a <= b), truth: true },
  greaterEqual: { code: 11, value: (a, b) => Number(a >= b), truth: true },
  and: { code: 12, value: (a, b) => Number(a !== 0 && b !== 0), truth: true },
  or: { code: 13, value: (a, b) => Number(a !== 0 || b !== 0), truth: true },
  mod: { code: 14, value: floorMod },
} as const satisfies Record<string, BinaryFunction>;

export type BinaryName = keyof typeof functions;

export interface BinaryAttrs {
  readonly fn: BinaryName;
}

const described = (fn: BinaryName): BinaryFunction => functions[fn];

const f32 = (shape: number[], range?: [number, number]) => ({
  dtype: 'f32' as const,
  shape,
  ...(range ? { range } : {}),
});

function binaryCase(fn: BinaryName, a: number[], b: number[], range?: [number, number]): OpCase<BinaryAttrs> {
  return {
    name: `${fn} [${a}] [${b}]`,
    inputs: [f32(a, range), f32(b, range)],
    attrs: { fn },
    ...(described(fn).truth || fn === 'mod' ? { gradientInputs: [] } : {}),
  };
}

/** Values far enough apart for finite differences not to cross a kink. */
const extremeCase = (fn: 'min' | 'max', b: number[]): OpCase<BinaryAttrs> => ({
  name: `${fn} [3,5] [${b}]`,
  inputs: [
    { dtype: 'f32', shape: [3, 5], data: Array.from({ length: 15 }, (_, i) => ((i * 7) % 15) / 5 - 1.4) },
    { dtype: 'f32', shape: b, data: Array.from({ length: sizeOf(b) }, (_, i) => ((i * 3) % 5) / 5 - 0.5) },
  ],
  attrs: { fn },
});

const wholeCase = (fn: BinaryName, a: number[], b: number[]): OpCase<BinaryAttrs> => ({
  name: `${fn} of i32`,
  inputs: [
    { dtype: 'i32', shape: [a.length], data: a },
    { dtype: 'i32', shape: [b.length], data: b },
  ],
  attrs: { fn },
});

export const binaryOp = defineOp<BinaryAttrs>({
  name: 'binary',
  infer([a, b], { fn }) {
    const whole = a!.dtype === 'i32';
    if (a!.dtype !== b!.dtype || (!whole && a!.dtype !== 'f32')) {
      fail('shape', `binary ${fn}: takes two f32 or two i32, not ${a!.dtype} and ${b!.dtype}.`);
    }
    if (whole ? fn === 'pow' : fn === 'and' || fn === 'or') {
      fail('shape', `binary ${fn}: does not take ${a!.dtype}.`);
    }
    const shape = broadcastShapes(`binary ${fn}`, a!.shape, b!.shape);
    if (mergeBroadcast(shape, a!.shape, b!.shape).shape.length > MAX_RANK) {
      fail(
        'shape',
        `binary ${fn}: [${a!.shape}] and [${b!.shape}] broadcast over more than ${MAX_RANK} axes.`,
      );
    }
    const dtype: DType = whole || described(fn).truth ? 'i32' : 'f32';
    return [{ dtype, shape }];
  },
  gradient(g, node, [dY], wants) {
    const [a, b] = node.inputs as [Value, Value];
    const y = node.outputs[0]!;
    const d = dY!;
    const both = (da: () => Value, db: () => Value) => [
      wants[0] ? sumTo(g, da(), a.shape) : null,
      wants[1] ? sumTo(g, db(), b.shape) : null,
    ];
    switch (node.attrs.fn) {
      case 'add':
        return both(
          () => d,
          () => d,
        );
      case 'sub':
        return both(
          () => d,
          () => scale(g, d, { by: -1 }),
        );
      case 'mul':
        return both(
          () => binary(g, d, b, { fn: 'mul' }),
          () => binary(g, d, a, { fn: 'mul' }),
        );
      case 'div':
        return both(
          () => binary(g, d, b, { fn: 'div' }),
          () => scale(g, binary(g, binary(g, d, y, { fn: 'mul' }), b, { fn: 'div' }), { by: -1 }),
        );
      case 'pow': {
        const one = g.constant({ dtype: 'f32', shape: [] }, Float32Array.of(1), 'one');
        return both(
          () => {
            const power = binary(g, a, binary(g, b, one, { fn: 'sub' }), { fn: 'pow' });
            return binary(g, d, binary(g, b, power, { fn: 'mul' }), { fn: 'mul' });
          },
          () => binary(g, d, binary(g, y, unary(g, a, { fn: 'log' }), { fn: 'mul' }), { fn: 'mul' }),
        );
      }
      case 'min':
      case 'max': {
        const first = binary(g, a, b, { fn: node.attrs.fn === 'min' ? 'lessEqual' : 'greaterEqual' });
        return both(
          () => where(g, first, d, zero(g)),
          () => where(g, first, zero(g), d),
        );
      }
      default:
        return fail(
          'internal',
          `binary ${node.attrs.fn} is not differentiable but lies between a target and the loss.`,
        );
    }
  },
  kernel({ inputs, outputs, attrs: { fn } }) {
    const [a, b] = inputs as [TensorType, TensorType];
    const n = sizeOf(outputs[0]!.shape);
    const { shape, strides } = mergeBroadcast(outputs[0]!.shape, a.shape, b.shape);
    const { code, truth } = described(fn);
    return {
      dispatches: [
        {
          shader: 'binary.wgsl',
          entry: a.dtype === 'i32' ? 'whole' : truth ? 'compare' : 'floats',
          constants: { WG: WORKGROUP, FN: code, RANK: shape.length },
          params: [n, 0, 0, 0, ...eight(shape, 1), ...eight(strides[0]!), ...eight(strides[1]!)],
          bindings: [{ in: 0 }, { in: 1 }, { out: 0 }],
          workgroups: perElement(n),
        },
      ],
    };
  },
  reference([a, b], { fn }) {
    const whole = a!.dtype === 'i32';
    const { truth, value } = described(fn);
    const y = emptyTensor(whole || truth ? 'i32' : 'f32', broadcastShapes('binary', a!.shape, b!.shape));
    const { shape, strides } = mergeBroadcast(y.shape, a!.shape, b!.shape);
    forEachStrided(shape, strides, (i, [at, bt]) => {
      const v = value(a!.data[at!]!, b!.data[bt!]!);
      y.data[i] = whole && fn === 'div' ? Math.trunc(v) : v;
    });
    return [y];
  },
  cases: [
    binaryCase('add', [4, 33], [4, 33]),
    binaryCase('add', [2, 3, 5], [5]),
    binaryCase('sub', [3, 1, 5], [4, 1]),
    binaryCase('mul', [2, 7, 3], [2, 1, 3]),
    binaryCase('mul', [7], []),
    binaryCase('div', [5, 6], [5, 1], [0.5, 2]),
    binaryCase('pow', [3, 5], [3, 5], [0.5, 2]),
    extremeCase('min', [5]),
    extremeCase('max', [3, 1]),
    binaryCase('less', [3, 5], [5]),
    binaryCase('greater', [3, 5], [5]),
    binaryCase('lessEqual', [2, 1, 3, 1, 2], [3, 1, 2, 1]),
    binaryCase('greaterEqual', [3, 5], [5]),
    binaryCase('mod', [3, 5], [5], [0.5, 3]),
    {
      name: 'whole powers of negative bases',
      inputs: [
        { dtype: 'f32', shape: [6], data: [-2, -2, -1.5, -3, 0, 2] },
        { dtype: 'f32', shape: [6], data: [2, 3, -2, -1, 3, 0] },
      ],
      attrs: { fn: 'pow' },
      gradientInputs: [],
    },
    {
      name: 'square as a power',
      inputs: [f32([9]), { dtype: 'f32', shape: [], data: [2] }],
      attrs: { fn: 'pow' },
      gradientInputs: [0],
    },
    {
      name: 'equal',
      inputs: [
        { dtype: 'f32', shape: [4], data: [1, 2, 3, -0] },
        { dtype: 'f32', shape: [4], data: [1, 3, 3, 0] },
      ],
      attrs: { fn: 'equal' },
      gradientInputs: [],
    },
    wholeCase('add', [1, -2, 3], [4, 5, -6]),
    wholeCase('sub', [1, -2, 3], [4]),
    wholeCase('mul', [1, -2, 3], [4, 5, -6]),
    wholeCase('div', [7, -7, 9], [2, 2, -4]),
    wholeCase('min', [1, -2, 3], [0]),
    wholeCase('max', [1, -2, 3], [0]),
    wholeCase('mod', [7, -7, 7, -7], [3, 3, -3, -3]),
    wholeCase('equal', [1, 2, 3], [1, 0, 3]),
    wholeCase('less', [1, 2, 3], [2]),
    wholeCase('greater', [1, 2, 3], [2]),
    wholeCase('lessEqual', [1, 2, 3], [2]),
    wholeCase('greaterEqual', [1, 2, 3], [2]),
    wholeCase('and', [0, 1, 0, 1], [0, 0, 1, 1]),
    wholeCase('or', [0, 1, 0, 1], [0, 0, 1, 1]),
  ],
});

/** f(a, b) with broadcasting; comparisons, and, or give i32. */
export const binary = (g: Emitter, a: Value, b: Value, attrs: BinaryAttrs): Value =>
  g.emit(binaryOp, [a, b], attrs)[0]!;
