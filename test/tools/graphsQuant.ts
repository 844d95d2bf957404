/** Small graphs with one quantised layer each, in every form that exporters and onnxruntime's tools write. */
import { rng } from '../../src/lib/rng.ts';
import { type GraphBuilder, graphBuilder } from '../../src/onnx/build.ts';
import { makeTensor, rawTensor } from '../../src/onnx/tensor.ts';
import type { OnnxDType, OnnxModel } from '../../src/onnx/types.ts';

export const ROWS = 3;
/** Columns of x; no multiple of the blocks, where the form allows. */
export const WIDTH = 40;
const OUT = 12;
export const VOCABULARY = 20;

const bytes = (count: number, seed: number): Uint8Array<ArrayBuffer> => {
  const random = rng(seed);
  return Uint8Array.from({ length: count }, () => random.int(256));
};
const scales = (count: number, seed: number, size = 0.02): Float32Array => {
  const random = rng(seed, 1);
  return Float32Array.from({ length: count }, () => size * random.between(0.5, 1.5));
};

export interface QuantGraph {
  readonly model: OnnxModel;
  /** PyTorch name of the quantised weight. */
  readonly weight: string;
  /** Whether the runtime rounds activations, which the import does not. */
  readonly roundsActivations?: boolean;
  /** A table that is looked up instead of a layer. */
  readonly lookUp?: boolean;
}

const contrib = { opset: 21, opsets: { 'com.microsoft': 1 } } as const;

/** x → the layer → bias and ReLU, so that a wrong sign or scale shows. */
function layer(
  build: (g: GraphBuilder, x: string) => string,
  more: Omit<QuantGraph, 'model' | 'weight'> = {},
  type: OnnxDType = 'float32',
): QuantGraph {
  const g = graphBuilder(contrib);
  const x = g.input('x', type, [ROWS, WIDTH]);
  const y = build(g, x);
  const random = rng(9);
  const bias = g.initializer(
    makeTensor(
      'body.bias',
      type,
      [OUT],
      Float32Array.from({ length: OUT }, () => 0.1 * random.normal()),
    ),
  );
  const sum = g.op('Add', [y, bias], {}, { name: '/body/Add' });
  g.output(sum, type, [ROWS, OUT], 'logits');
  return { model: g.build(), weight: 'body.weight', ...more };
}

interface NBits {
  readonly bits: 4 | 8;
  readonly block: number;
  readonly zeros?: 'packed' | 'float';
  readonly half?: boolean;
}

/** MatMulNBits as onnxruntime's 4-bit quantiser and the genai builder write it. */
function nbits({ bits, block, zeros, half }: NBits): QuantGraph {
  const type = half ? 'float16' : 'float32';
  const blocks = Math.ceil(WIDTH / block);
  const blob = (block * bits) / 8;
  return layer(
    (g, x) => {
      const inputs = [
        x,
        g.initializer(
          rawTensor('body.weight_Q', 'uint8', [OUT, blocks, blob], bytes(OUT * blocks * blob, 1)),
        ),
        g.initializer(
          makeTensor(
            'body.weight_scales',
            type,
            [OUT * blocks],
            scales(OUT * blocks, 2, bits === 8 ? 0.001 : 0.02),
          ),
        ),
      ];
      if (zeros === 'packed') {
        const rowBytes = Math.ceil((blocks * bits) / 8);
        inputs.push(
          g.initializer(rawTensor('body.weight_zp', 'uint8', [OUT * rowBytes], bytes(OUT * rowBytes, 3))),
        );
      }
      if (zeros === 'float') {
        const at = Float32Array.from(scales(OUT * blocks, 4, 8));
        inputs.push(g.initializer(makeTensor('body.weight_zp', type, [OUT * blocks], at)));
      }
      const attributes = { K: WIDTH, N: OUT, bits, block_size: block };
      return g.op('MatMulNBits', inputs, attributes, { name: '/body/MatMul_Q4', domain: 'com.microsoft' });
    },
    {},
    type,
  );
}

interface Qdq {
  readonly dtype: 'int8' | 'uint8' | 'int4' | 'uint4';
  readonly scale: 'tensor' | 'channel' | 'block';
  readonly zeros?: boolean;
  readonly transposed?: boolean;
  readonly activations?: boolean;
}

/** DequantizeLinear in front of MatMul. */
function qdq({ dtype, scale, zeros, transposed, activations }: Qdq): QuantGraph {
  const dims = transposed ? [OUT, WIDTH] : [WIDTH, OUT];
  const block = 8;
  const axis = scale === 'block' ? (transposed ? 1 : 0) : transposed ? 0 : 1;
  const steps =
    scale === 'tensor' ? [] : scale === 'channel' ? [OUT] : dims.map((d, i) => (i === axis ? d / block : d));
  const count = steps.reduce((n, d) => n * d, 1);
  const bits = dtype.endsWith('4') ? 4 : 8;
  return layer(
    (g, input) => {
      let x = input;
      if (activations) {
        const at = [g.scalar(0.05), g.initializer(rawTensor('x_zero', 'uint8', [], Uint8Array.of(128)))];
        x = g.op('DequantizeLinear', [g.op('QuantizeLinear', [x, ...at]), ...at]);
      }
      const inputs = [
        g.initializer(rawTensor('body.weight_quantized', dtype, dims, bytes((OUT * WIDTH * bits) / 8, 5))),
        g.initializer(
          makeTensor('body.weight_scale', 'float32', steps, scales(count, 6, bits === 8 ? 0.001 : 0.02)),
        ),
      ];
      if (zeros) {
        const size = Math.ceil((count * bits) / 8);
        inputs.push(g.initializer(rawTensor('body.weight_zero', dtype, steps, bytes(size, 7))));
      }
      const attributes = { axis, ...(scale === 'block' ? { block_size: block } : {}) };
      let w = g.op('DequantizeLinear', inputs, attributes, { name: '/body/DequantizeLinear' });
      if (transposed) w = g.op('Transpose', [w], { perm: [1, 0] }, { name: '/body/Transpose' });
      return g.op('MatMul', [x, w], {}, { name: '/body/MatMul' });
    },
    activations ? { roundsActivations: true } : {},
  );
}

/** As onnxruntime's quantize_dynamic writes a layer. */
function dynamic(perChannel: boolean, dtype: 'int8' | 'uint8'): QuantGraph {
  return layer(
    (g, x) => {
      const [q, scale, zero] = g.ops(3, 'DynamicQuantizeLinear', [x], {}, { name: 'x_QuantizeLinear' });
      const steps = perChannel ? [OUT] : [];
      const count = perChannel ? OUT : 1;
      // Signed codes count from 0; unsigned ones from the middle.
      const zeros = new Uint8Array(count).fill(dtype === 'int8' ? 0 : 128);
      const w = g.initializer(rawTensor('body.weight_quantized', dtype, [WIDTH, OUT], bytes(OUT * WIDTH, 8)));
      const wScale = g.initializer(
        makeTensor('body.weight_scale', 'float32', steps, scales(count, 9, 0.001)),
      );
      const wZero = g.initializer(rawTensor('body.weight_zero_point', dtype, steps, zeros));
      const named = (part: string) => ({ name: `/body/MatMul_${part}` });
      const sum = g.op('MatMulInteger', [q!, w, zero!, wZero], {}, named('quant'));
      const cast = g.op('Cast', [sum], { to: 1 }, named('cast'));
      const factor = g.op('Mul', [scale!, wScale], {}, named('quant_scales_mul'));
      return g.op('Mul', [cast, factor], {}, named('quant_output_scale_mul'));
    },
    { roundsActivations: true },
  );
}

/** Rows of a table by token ids. */
function lookUp(build: (g: GraphBuilder, ids: string) => string): QuantGraph {
  const g = graphBuilder(contrib);
  const ids = g.input('input_ids', 'int64', [ROWS, 2]);
  g.output(build(g, ids), 'float32', [ROWS, 2, WIDTH], 'logits');
  return { model: g.build(), weight: 'embed.weight', lookUp: true };
}

const blockTable = (type: 'uint4' | 'int4' | 'uint8', zeros: boolean): QuantGraph =>
  lookUp((g, ids) => {
    const block = 16;
    const width = 48;
    const inputs = [
      g.initializer(
        rawTensor(
          'embed.weight_Q4',
          type,
          [VOCABULARY, type === 'uint8' ? width / 2 : width],
          bytes((VOCABULARY * width) / 2, 10),
        ),
      ),
      ids,
      g.initializer(
        makeTensor('embed.weight_scales', 'float32', [VOCABULARY, width / block], scales(VOCABULARY * 3, 11)),
      ),
    ];
    if (zeros)
      inputs.push(
        g.initializer(
          rawTensor('embed.weight_zp', type, [VOCABULARY, width / block], bytes((VOCABULARY * 3) / 2, 12)),
        ),
      );
    const rows = g.op(
      'GatherBlockQuantized',
      inputs,
      { gather_axis: 0, quantize_axis: 1, block_size: block },
      { name: '/embed/Gather', domain: 'com.microsoft' },
    );
    return g.op('Slice', [rows, g.ints([0]), g.ints([WIDTH]), g.ints([2])]);
  });

const dynamicTable = (): QuantGraph =>
  lookUp((g, ids) => {
    const table = rawTensor(
      'embed.weight_quantized',
      'uint8',
      [VOCABULARY, WIDTH],
      bytes(VOCABULARY * WIDTH, 13),
    );
    const rows = g.op('Gather', [g.initializer(table), ids], {}, { name: '/embed/Gather_quant' });
    const zero = g.initializer(rawTensor('embed.weight_zero_point', 'uint8', [], Uint8Array.of(121)));
    return g.op('DequantizeLinear', [rows, g.scalar(0.013), zero], {}, { name: '/embed/DequantizeLinear' });
  });

export const quantGraphs: Readonly<Record<string, () => QuantGraph>> = {
  'MatMulNBits, 4 bits': () => nbits({ bits: 4, block: 16 }),
  'MatMulNBits, 4 bits, zero points': () => nbits({ bits: 4, block: 32, zeros: 'packed' }),
  'MatMulNBits, 4 bits, float zero points': () => nbits({ bits: 4, block: 16, zeros: 'float' }),
  'MatMulNBits, 8 bits': () => nbits({ bits: 8, block: 16 }),
  'MatMulNBits, 8 bits, zero points': () => nbits({ bits: 8, block: 32, zeros: 'packed' }),
  'MatMulNBits, f16': () => nbits({ bits: 4, block: 32, zeros: 'packed', half: true }),
  'QDQ, int8 for all': () => qdq({ dtype: 'int8', scale: 'tensor' }),
  'QDQ, uint8 per channel, zero points': () => qdq({ dtype: 'uint8', scale: 'channel', zeros: true }),
  'QDQ, int8 per channel, transposed': () => qdq({ dtype: 'int8', scale: 'channel', transposed: true }),
  'QDQ, int4 blocks': () => qdq({ dtype: 'int4', scale: 'block' }),
  'QDQ, uint4 blocks, zero points, transposed': () =>
    qdq({ dtype: 'uint4', scale: 'block', zeros: true, transposed: true }),
  'QDQ, int8 blocks, zero points': () => qdq({ dtype: 'int8', scale: 'block', zeros: true }),
  'QDQ, activations too': () => qdq({ dtype: 'int8', scale: 'tensor', activations: true }),
  'dynamic, int8': () => dynamic(false, 'int8'),
  'dynamic, uint8 per channel': () => dynamic(true, 'uint8'),
  'GatherBlockQuantized, uint4': () => blockTable('uint4', false),
  'GatherBlockQuantized, int4': () => blockTable('int4', false),
  'GatherBlockQuantized, bytes': () => blockTable('uint8', false),
  'GatherBlockQuantized, zero points': () => blockTable('uint4', true),
  'Gather before DequantizeLinear': dynamicTable,
};
