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
  /** Its layer gives no scores. */
  readonly inner?: boolean;
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

interface Codes {
  readonly dtype: 'int8' | 'uint8';
  readonly dims: readonly number[];
  /** Scales along an axis of this many; one unless told. */
  readonly channels?: number;
  /** Zero points anywhere, not in the middle. */
  readonly free?: boolean;
  /** One bit of each code is left free. */
  readonly reduced?: boolean;
}

/** Codes, scale and zero point as onnxruntime's quantiser names them. */
function quantised(g: GraphBuilder, name: string, { dtype, dims, channels, free, reduced }: Codes) {
  const size = dims.reduce((n, d) => n * d, 1);
  const count = channels ?? 1;
  const steps = channels === undefined ? [] : [channels];
  const random = rng(size, count);
  const low = dtype === 'int8' ? -64 : 0;
  const codes = reduced
    ? Uint8Array.from({ length: size }, () => low + random.int(dtype === 'int8' ? 129 : 128))
    : bytes(size, size);
  const zeros = Uint8Array.from({ length: count }, () =>
    free ? 100 + random.int(40) : dtype === 'int8' ? 0 : 128,
  );
  return {
    codes: g.initializer(rawTensor(`${name}_quantized`, dtype, dims, codes)),
    scale: g.initializer(makeTensor(`${name}_scale`, 'float32', steps, scales(count, size + 1, 0.001))),
    zero: g.initializer(rawTensor(`${name}_zero_point`, dtype, steps, zeros)),
  };
}

/** The integer product of a node, with the scales behind it, as quantize_dynamic writes it. */
function integerProduct(
  g: GraphBuilder,
  opType: 'MatMulInteger' | 'ConvInteger',
  path: string,
  x: string,
  w: ReturnType<typeof quantised>,
  attributes = {},
): string {
  const [q, scale, zero] = g.ops(3, 'DynamicQuantizeLinear', [x], {}, { name: `${path}_QuantizeLinear` });
  const named = (part: string) => ({ name: `${path}_${part}` });
  const sum = g.op(opType, [q!, w.codes, zero!, w.zero], attributes, named('quant'));
  const cast = g.op('Cast', [sum], { to: 1 }, named('cast'));
  const factor = g.op('Mul', [scale!, w.scale], {}, named('quant_scales_mul'));
  return g.op('Mul', [cast, factor], {}, named('quant_output_scale_mul'));
}

/** As onnxruntime's quantize_dynamic writes a layer. */
const dynamic = (perChannel: boolean, dtype: 'int8' | 'uint8', more: Partial<Codes> = {}): QuantGraph =>
  layer(
    (g, x) => {
      const dims = [WIDTH, OUT];
      const w = quantised(g, 'body.weight', {
        dtype,
        dims,
        ...(perChannel ? { channels: OUT } : {}),
        ...more,
      });
      return integerProduct(g, 'MatMulInteger', '/body/MatMul', x, w);
    },
    { roundsActivations: true },
  );

/** A tied head: the table's codes, turned. */
const turnedCodes = (): QuantGraph =>
  layer(
    (g, x) => {
      const w = quantised(g, 'body.weight', { dtype: 'uint8', dims: [OUT, WIDTH], free: true });
      const turned = g.op('Transpose', [w.codes], { perm: [1, 0] }, { name: '/body/Transpose' });
      return integerProduct(g, 'MatMulInteger', '/body/MatMul', x, { ...w, codes: turned });
    },
    { roundsActivations: true },
  );

/** A convolution over pictures of 5 × 8 (or over 20 places of 2 channels), its bias added behind it. */
function convolution(flat: boolean): QuantGraph {
  const g = graphBuilder(contrib);
  const x = g.input('x', 'float32', [ROWS, WIDTH]);
  const picture = g.op('Reshape', [x, g.ints(flat ? [ROWS, 2, 20] : [ROWS, 1, 5, 8])]);
  const kernel = flat ? [5] : [2, 4];
  const w = quantised(g, 'body.weight', {
    dtype: flat ? 'int8' : 'uint8',
    dims: [4, flat ? 2 : 1, ...kernel],
  });
  const attributes = {
    kernel_shape: kernel,
    strides: flat ? [3] : [2, 4],
    pads: flat ? [1, 1] : [0, 0, 1, 0],
    group: 1,
  };
  const y = integerProduct(g, 'ConvInteger', '/body/Conv', picture, w, attributes);
  const bias = g.weight('body.bias', [4], [0.3, -0.2, 0.1, 0.4]);
  const turned = g.op('Reshape', [bias, g.ints([1, -1, ...kernel.map(() => 1)])]);
  const sum = g.op('Add', [y, turned], {}, { name: '/body/Conv_bias_add' });
  g.output(g.op('Flatten', [sum]), 'float32', [ROWS, 24], 'logits');
  return { model: g.build(), weight: 'body.weight', roundsActivations: true, inner: true };
}

/** onnxruntime's optimiser and then its quantiser: q, k and v in one product of codes. */
function qAttention(perChannel: boolean): QuantGraph {
  const g = graphBuilder(contrib);
  const x = g.input('x', 'float32', [ROWS, WIDTH]);
  const dims = [WIDTH, 3 * WIDTH];
  const channels = perChannel ? { channels: 3 * WIDTH } : {};
  const w = quantised(g, 'body.weight', { dtype: 'int8', dims, reduced: true, ...channels });
  const random = rng(17);
  const bias = g.weight(
    'body.bias',
    [3 * WIDTH],
    Float32Array.from({ length: 3 * WIDTH }, () => 0.1 * random.normal()),
  );
  const rows = g.op('Reshape', [x, g.ints([1, ROWS, WIDTH])]);
  const [q, scale, zero] = g.ops(3, 'DynamicQuantizeLinear', [rows], {}, { name: 'x_QuantizeLinear' });
  const inputs = [q!, w.codes, bias, scale!, w.scale, '', zero!, w.zero, ''];
  const y = g.op(
    'QAttention',
    inputs,
    { num_heads: 4 },
    { name: '/body/Attention', domain: 'com.microsoft' },
  );
  g.output(g.op('Reshape', [y, g.ints([ROWS, WIDTH])]), 'float32', [ROWS, WIDTH], 'logits');
  return { model: g.build(), weight: 'body.weight', roundsActivations: true, inner: true };
}

/** A static file's Gemm: codes of the weight, of the input, and a bias of 32 bits whose scale is the product of theirs. */
function gemmWithBias(): QuantGraph {
  const g = graphBuilder(contrib);
  const x = g.input('x', 'float32', [ROWS, WIDTH]);
  const at = [g.scalar(0.03), g.initializer(rawTensor('x_zero', 'uint8', [], Uint8Array.of(120)))];
  const rounded = g.op('DequantizeLinear', [g.op('QuantizeLinear', [x, ...at]), ...at]);
  const w = quantised(g, 'body.weight', { dtype: 'int8', dims: [OUT, WIDTH] });
  const matrix = g.op('DequantizeLinear', [w.codes, w.scale, w.zero]);
  const wScale = scales(1, OUT * WIDTH + 1, 0.001)[0]!;
  const codes = Array.from({ length: OUT }, (_, i) => 4000 * (i - 5));
  const bias = g.op('DequantizeLinear', [
    g.initializer(makeTensor('body.bias_quantized', 'int32', [OUT], codes)),
    g.initializer(makeTensor('body.bias_quantized_scale', 'float32', [1], [0.03 * wScale])),
    g.initializer(makeTensor('body.bias_zero', 'int32', [1], [0])),
  ]);
  const y = g.op('Gemm', [rounded, matrix, bias], { transB: 1 }, { name: '/body/Gemm' });
  const out = [g.scalar(0.02), g.initializer(rawTensor('y_zero', 'uint8', [], Uint8Array.of(128)))];
  const said = g.op('DequantizeLinear', [g.op('QuantizeLinear', [y, ...out]), ...out]);
  g.output(said, 'float32', [ROWS, OUT], 'logits');
  return { model: g.build(), weight: 'body.weight', roundsActivations: true };
}

/** A static file without its Relu: the codes of the layer's output begin at 0. */
function reluInCodes(): QuantGraph {
  const made = layer(
    (g, x) => {
      const dims = [WIDTH, OUT];
      const w = quantised(g, 'body.weight', { dtype: 'int8', dims });
      const y = g.op(
        'MatMul',
        [x, g.op('DequantizeLinear', [w.codes, w.scale, w.zero])],
        {},
        {
          name: '/body/MatMul',
        },
      );
      const at = [g.scalar(0.01), g.initializer(rawTensor('y_zero', 'uint8', [], Uint8Array.of(0)))];
      return g.op('DequantizeLinear', [g.op('QuantizeLinear', [y, ...at]), ...at]);
    },
    { roundsActivations: true },
  );
  return made;
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

/** Rows of a table that no input chooses, as learned positions are, turned or not before they are dequantised. */
const knownRows = (turned: boolean): QuantGraph =>
  lookUp((g, ids) => {
    const w = quantised(g, 'embed.weight', { dtype: 'int8', dims: [VOCABULARY, WIDTH] });
    let rows = g.op('Gather', [w.codes, g.ints([3, 0], [1, 2])], {}, { name: '/embed/Gather' });
    if (turned) rows = g.op('Transpose', [rows], { perm: [0, 2, 1] });
    let floats = g.op('DequantizeLinear', [rows, w.scale, w.zero], {}, { name: '/embed/DequantizeLinear' });
    if (turned) floats = g.op('Transpose', [floats], { perm: [0, 2, 1] });
    const real = g.op('Cast', [ids], { to: 1 });
    return g.op('Add', [floats, g.op('Unsqueeze', [real, g.ints([2])])]);
  });

/** As the optimiser and then the quantiser write embeddings: every table, gamma and beta in codes. */
const qEmbedding = (): QuantGraph =>
  lookUp((g, ids) => {
    const whole = g.op('Cast', [ids], { to: 6 });
    const none = g.op('Sub', [whole, whole]);
    const tables = [
      quantised(g, 'embed.weight', { dtype: 'uint8', dims: [VOCABULARY, WIDTH], free: true }),
      quantised(g, 'positions.weight', { dtype: 'uint8', dims: [9, WIDTH] }),
      quantised(g, 'segments.weight', { dtype: 'uint8', dims: [2, WIDTH], free: true }),
      quantised(g, 'norm.weight', { dtype: 'uint8', dims: [WIDTH], free: true }),
      quantised(g, 'norm.bias', { dtype: 'uint8', dims: [WIDTH], free: true, channels: 1 }),
    ].map((t, i) => ({ ...t, i }));
    const inputs = [whole, none, ...tables.map((t) => t.codes), '', ...tables.map((t) => t.scale)];
    const attributes = { epsilon: 1e-5 };
    const options = { name: '/embed/EmbedLayerNormalization', domain: 'com.microsoft' };
    const all = [...inputs, ...tables.map((t) => t.zero)];
    return g.ops(2, 'QEmbedLayerNormalization', all, attributes, options)[0]!;
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
  'dynamic, uint8, zero points anywhere': () => dynamic(false, 'uint8', { free: true }),
  'dynamic, int8 of 7 bits': () => dynamic(true, 'int8', { reduced: true }),
  'dynamic, uint8 of 7 bits': () => dynamic(false, 'uint8', { reduced: true, free: true }),
  'dynamic, the codes turned': turnedCodes,
  'dynamic, a convolution over pictures': () => convolution(false),
  'dynamic, a convolution over places': () => convolution(true),
  'dynamic, QAttention': () => qAttention(false),
  'dynamic, QAttention per channel': () => qAttention(true),
  'QDQ, activations and a bias of 32 bits': gemmWithBias,
  'QDQ, activations with a Relu in their codes': reluInCodes,
  'known rows before DequantizeLinear': () => knownRows(false),
  'known rows, turned, before DequantizeLinear': () => knownRows(true),
  QEmbedLayerNormalization: qEmbedding,
  'GatherBlockQuantized, uint4': () => blockTable('uint4', false),
  'GatherBlockQuantized, int4': () => blockTable('int4', false),
  'GatherBlockQuantized, bytes': () => blockTable('uint8', false),
  'GatherBlockQuantized, zero points': () => blockTable('uint4', true),
  'Gather before DequantizeLinear': dynamicTable,
};
