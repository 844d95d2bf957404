/** The losses that the figures beside an ONNX file may name, with their gradients at the outputs, in float64. */
import type { Tensor } from '../../src/graph/types.ts';

interface Loss {
  readonly value: number;
  /** Per output of the model. */
  readonly gradients: ReadonlyMap<string, Float64Array>;
}

const IGNORED = -100;

function crossEntropy(logits: Tensor, labels: readonly number[]): { value: number; gradient: Float64Array } {
  const classes = logits.shape.at(-1)!;
  const gradient = new Float64Array(logits.data.length);
  const valid = labels.filter((l) => l !== IGNORED).length;
  let value = 0;
  labels.forEach((label, row) => {
    if (label === IGNORED) return;
    const at = row * classes;
    const values = logits.data.subarray(at, at + classes);
    const top = values.reduce((m, x) => Math.max(m, x), Number.NEGATIVE_INFINITY);
    const sum = values.reduce((s, x) => s + Math.exp(x - top), 0);
    value += (Math.log(sum) + top - values[label]!) / valid;
    for (let c = 0; c < classes; c++) {
      gradient[at + c] = (Math.exp(values[c]! - top) / sum - (c === label ? 1 : 0)) / valid;
    }
  });
  return { value, gradient };
}

/**
 * @param of the loss in the words of the file: cross entropy against labels, next-token cross entropy, nothing (a sum of the outputs with
 * uneven weights, which no normalisation makes flat), or (anything else) the sum over outputs of mean(output²)
 * @param input the first input, whose next tokens are the labels of a language model
 */
export function lossGradient(
  of: string,
  outputs: ReadonlyMap<string, Tensor>,
  input: { readonly shape: readonly number[]; readonly data: readonly number[] },
): Loss {
  const [[name, first]] = [...outputs] as [[string, Tensor]];
  if (of.includes('cross entropy')) {
    const length = input.shape.at(-1)!;
    const listed = /labels (\[[^\]]*\])/.exec(of);
    const labels = listed
      ? (JSON.parse(listed[1]!) as number[])
      : input.data.map((_, i) => (i % length === length - 1 ? IGNORED : input.data[i + 1]!));
    const { value, gradient } = crossEntropy(first, labels);
    return { value, gradients: new Map([[name, gradient]]) };
  }
  let value = 0;
  const gradients = new Map<string, Float64Array>();
  for (const [output, { data }] of outputs) {
    if (of === '') {
      const weights = data.map((_, i) => (1 + Math.cos(i)) / data.length);
      value += data.reduce((s, x, i) => s + x * weights[i]!, 0);
      gradients.set(output, weights);
      continue;
    }
    value += data.reduce((s, x) => s + x * x, 0) / data.length;
    gradients.set(
      output,
      data.map((x) => (2 * x) / data.length),
    );
  }
  return { value, gradients };
}
