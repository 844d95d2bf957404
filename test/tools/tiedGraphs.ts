/**
 * A small language model of which the file stores less than PyTorch has: a head that is the table of the embedding, equal biases, norms
 * and matrices written once, a block that is called again.
 */
import { rng } from '../../src/lib/rng.ts';
import { graphBuilder } from '../../src/onnx/build.ts';
import { makeTensor } from '../../src/onnx/tensor.ts';
import type { OnnxModel } from '../../src/onnx/types.ts';

export interface TiedOptions {
  /**
   * How the file has the head: the table through a Transpose, by a Gemm, through Identity, Cast and Transpose, through one Transpose that
   * another reader has too; a turned copy of the same numbers; numbers of its own.
   */
  readonly head?: 'transpose' | 'gemm' | 'cast' | 'shared transpose' | 'copy' | 'own';
  /** One initialiser for the biases of all linear layers. */
  readonly bias?: boolean;
  /** One for the weights of all norms, one for their biases. */
  readonly norm?: boolean;
  /** One for the matrices of gate and up. */
  readonly matrix?: boolean;
  /** Block 0 runs twice. */
  readonly twice?: boolean;
  /** What is written once comes back through Identity nodes under the names it had, as torch.onnx writes it. */
  readonly identity?: boolean;
  /** Nodes without names. */
  readonly unnamed?: boolean;
}

export const ROWS = 13;
export const SIZE = 6;
const tokens = ['batch', 'sequence'];

export function tiedModel(o: TiedOptions = {}): OnnxModel {
  const g = graphBuilder({ opset: 17, name: 'tied' });
  const random = rng(21, 5);
  const known = new Map<string, string>();
  const weight = (name: string, dims: readonly number[], shared: string | null): string => {
    const found = shared === null ? undefined : known.get(shared);
    if (found !== undefined)
      return o.identity && found !== name ? g.op('Identity', [found], {}, { outputs: [name] }) : found;
    const size = dims.reduce((n, d) => n * d, 1);
    const around = /norm|ln/.test(name) && name.endsWith('weight') ? 1 : 0;
    const made = g.weight(
      name,
      dims,
      Float32Array.from({ length: size }, () => around + 0.4 * random.normal()),
    );
    if (shared !== null) known.set(shared, made);
    return made;
  };
  const counts = new Map<string, number>();
  const op = (
    place: string,
    type: string,
    inputs: readonly string[],
    attributes: Parameters<typeof g.op>[2] = {},
  ): string => {
    const n = counts.get(`${place}/${type}`) ?? 0;
    counts.set(`${place}/${type}`, n + 1);
    const name = `/${place.replaceAll('.', '/').replace(/\/(\d+)/g, '.$1')}/${type}${n === 0 ? '' : `_${n}`}`;
    return g.op(type, inputs, attributes, o.unnamed ? {} : { name });
  };
  const matrix = (module: string): string | null =>
    o.matrix && /gate|up/.test(module) ? 'matrix' : `${module}.weight`;
  const linear = (module: string, place: string, x: string): string => {
    const w = weight(`${module}.weight`, [SIZE, SIZE], matrix(module));
    const b = weight(`${module}.bias`, [SIZE], o.bias ? 'bias' : `${module}.bias`);
    const turned = op(place, 'Transpose', [w], { perm: [1, 0] });
    return op(place, 'Add', [op(place, 'MatMul', [x, turned]), b]);
  };
  const norm = (module: string, place: string, x: string): string => {
    const w = weight(`${module}.weight`, [SIZE], o.norm ? 'norm weight' : `${module}.weight`);
    const b = weight(`${module}.bias`, [SIZE], o.norm ? 'norm bias' : `${module}.bias`);
    return op(place, 'LayerNormalization', [x, w, b], { axis: -1, epsilon: 1e-5 });
  };
  const block = (i: number, x: string, call: string): string => {
    const at = `model.layers.${i}`;
    const n = norm(`${at}.norm_in`, `${at}.norm_in${call}`, x);
    const gate = op(`${at}${call}`, 'Sigmoid', [linear(`${at}.gate`, `${at}.gate${call}`, n)]);
    const up = linear(`${at}.up`, `${at}.up${call}`, n);
    const mixed = op(`${at}${call}`, 'Mul', [gate, up]);
    return op(`${at}${call}`, 'Add', [x, linear(`${at}.down`, `${at}.down${call}`, mixed)]);
  };

  const ids = g.input('input_ids', 'int64', tokens);
  const table = weight('model.wte.weight', [ROWS, SIZE], null);
  let x = op('model.wte', 'Gather', [table, ids]);
  x = block(0, x, '');
  if (o.twice) x = block(0, x, '_1');
  x = block(1, x, '');
  x = norm('model.ln_f', 'model.ln_f', x);
  g.output(headOf(o, g, op, weight, table, x), 'float32', [...tokens, ROWS], 'logits');
  return g.build();
}

function headOf(
  o: TiedOptions,
  g: ReturnType<typeof graphBuilder>,
  op: (
    place: string,
    type: string,
    inputs: readonly string[],
    attributes?: Parameters<typeof g.op>[2],
  ) => string,
  weight: (name: string, dims: readonly number[], shared: string | null) => string,
  table: string,
  x: string,
): string {
  const score = (w: string): string => op('lm_head', 'MatMul', [x, w]);
  const turn = (w: string): string => op('lm_head', 'Transpose', [w], { perm: [1, 0] });
  switch (o.head ?? 'transpose') {
    case 'own':
      return score(weight('lm_head.weight_t', [SIZE, ROWS], null));
    case 'copy': {
      const values = new Float32Array(g.build().graph.initializers.get(table)!.bytes().slice().buffer);
      const data = Float32Array.from({ length: values.length }, (_, i) => {
        const [row, column] = [Math.floor(i / ROWS), i % ROWS];
        return values[column * SIZE + row]!;
      });
      return score(g.initializer(makeTensor('onnx::MatMul_77', 'float32', [SIZE, ROWS], data)));
    }
    case 'gemm': {
      const flat = op('lm_head', 'Reshape', [x, g.ints([-1, SIZE])]);
      const y = op('lm_head', 'Gemm', [flat, table], { transB: 1 });
      const shape = op('lm_head', 'Shape', [x]);
      const lead = op('lm_head', 'Slice', [shape, g.ints([0]), g.ints([2])]);
      return op('lm_head', 'Reshape', [y, op('lm_head', 'Concat', [lead, g.ints([ROWS])], { axis: 0 })]);
    }
    case 'cast': {
      const same = op('lm_head', 'Identity', [table]);
      return score(turn(op('lm_head', 'Cast', [same], { to: 1 })));
    }
    case 'shared transpose': {
      const turned = turn(table);
      // A second head on the same turned table, whose module is another.
      return op('model', 'Add', [
        score(turned),
        op('aux_head', 'MatMul', [op('model', 'Tanh', [x]), turned]),
      ]);
    }
    default:
      return score(turn(table));
  }
}
