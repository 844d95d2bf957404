/**
 * Ops that are several canonical ones: onnxruntime's fused operators and the large ones of newer opsets. Each becomes nodes that the
 * rest of the import knows already, so that masks fold, biases join their layer and the fused products show as the layer they are.
 */
import { groupQueryAttention, onnxAttention } from './expandAttention.ts';
import { contribAttention, multiHeadAttention } from './expandContrib.ts';
import {
  biasGelu,
  chained,
  embedLayerNorm,
  fusedGemm,
  fusedMatMul,
  reduced,
  skipNorm,
  swish,
} from './expandLayers.ts';
import type { FoldedValue } from './folded.ts';
import type { Context, Refusal } from './lowering.ts';
import { Refused } from './lowering.ts';
import * as quant from './quantOps.ts';
import { rotaryEmbedding } from './rotary.ts';

type Expander = (c: Context) => readonly (FoldedValue | null)[];

const MICROSOFT = 'com.microsoft';

const expanders: Readonly<Record<string, Expander>> = {
  Attention: onnxAttention,
  RotaryEmbedding: rotaryEmbedding({ cos: 1, sin: 2, positions: 3 }),
  Swish: swish(1),
  ReduceL2: reduced('ReduceL2'),
  ReduceSumSquare: reduced('ReduceSumSquare'),
  [`${MICROSOFT}.Attention`]: contribAttention,
  [`${MICROSOFT}.MultiHeadAttention`]: multiHeadAttention,
  [`${MICROSOFT}.GroupQueryAttention`]: groupQueryAttention,
  [`${MICROSOFT}.RotaryEmbedding`]: rotaryEmbedding({ positions: 1, cos: 2, sin: 3 }),
  [`${MICROSOFT}.SkipLayerNormalization`]: skipNorm('LayerNorm'),
  [`${MICROSOFT}.SkipSimplifiedLayerNormalization`]: skipNorm('RmsNorm'),
  [`${MICROSOFT}.EmbedLayerNormalization`]: embedLayerNorm,
  [`${MICROSOFT}.BiasGelu`]: biasGelu('Gelu'),
  [`${MICROSOFT}.Gelu`]: biasGelu('Gelu'),
  [`${MICROSOFT}.FastGelu`]: biasGelu('GeluTanh'),
  [`${MICROSOFT}.QuickGelu`]: swish(1.702),
  [`${MICROSOFT}.FusedMatMul`]: fusedMatMul,
  [`${MICROSOFT}.TransposeMatMul`]: fusedMatMul,
  [`${MICROSOFT}.FusedGemm`]: fusedGemm,
  DequantizeLinear: quant.dequantizeLinear,
  QuantizeLinear: quant.quantizeLinear,
  DynamicQuantizeLinear: quant.dynamicQuantizeLinear,
  MatMulInteger: quant.matMulInteger,
  ConvInteger: quant.convInteger,
  [`${MICROSOFT}.DequantizeLinear`]: quant.dequantizeLinear,
  [`${MICROSOFT}.QuantizeLinear`]: quant.quantizeLinear,
  [`${MICROSOFT}.MatMulIntegerToFloat`]: quant.matMulIntegerToFloat,
  [`${MICROSOFT}.DynamicQuantizeMatMul`]: quant.dynamicQuantizeMatMul,
  [`${MICROSOFT}.QAttention`]: quant.qAttention,
  [`${MICROSOFT}.QEmbedLayerNormalization`]: quant.qEmbedLayerNorm,
  [`${MICROSOFT}.MatMulNBits`]: quant.matMulNBits,
  [`${MICROSOFT}.GatherBlockQuantized`]: quant.gatherBlockQuantized,
};

/** Ops of two operands or fewer that are rules of `lower.ts`, and of more a chain of these. */
const chains: Readonly<Record<string, Expander>> = {
  Sum: chained('Add'),
  Min: chained('Min'),
  Max: chained('Max'),
};

interface Named {
  readonly node: Pick<Context['node'], 'domain' | 'opType' | 'inputs'>;
}

const keyOf = ({ node }: Named): string => (node.domain ? `${node.domain}.${node.opType}` : node.opType);

function expanderOf(c: Named): Expander | undefined {
  const table = c.node.inputs.length > 2 && Object.hasOwn(chains, keyOf(c)) ? chains : expanders;
  return Object.hasOwn(table, keyOf(c)) ? table[keyOf(c)] : undefined;
}

export const canExpand = (c: Named): boolean => expanderOf(c) !== undefined;

/** The node's outputs (null: none there), or why it cannot be imported. */
export function expand(c: Context): readonly (FoldedValue | null)[] | Refusal {
  try {
    return expanderOf(c)!(c);
  } catch (error) {
    if (error instanceof Refused) return { refusal: error.message };
    throw error;
  }
}
