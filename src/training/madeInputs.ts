/** Inputs made up for a model of which no data is at hand: ids within its tables, pictures and sound of normal numbers, texts of several lengths. */
import { sizeOf } from '../graph/shape.ts';
import type { Graph, Value } from '../graph/types.ts';
import { rng } from '../lib/rng.ts';
import { least } from '../lib/statistics.ts';

/** What an input takes, by name, as the graph wants it. */
export interface MadeInputs {
  readonly data: Readonly<Record<string, Float32Array | Int32Array>>;
  /** Positions of each example that are no padding [batch, sequence]; null without token ids. */
  readonly mask: Int32Array | null;
}

const isMask = (name: string): boolean => /mask/i.test(name);

/**
 * @param graph at fixed sizes; every input gets data
 * @param padded masks end before the example does, in every example but the first
 */
export function madeInputs(graph: Graph, seed: number, padded: boolean): MadeInputs {
  const data: Record<string, Float32Array | Int32Array> = {};
  let mask: Int32Array | null = null;
  for (const input of graph.inputs) {
    const size = sizeOf(input.shape);
    const random = rng(seed, 0x3ade).fork(size + input.name.length);
    if (input.dtype !== 'i32') {
      data[input.name] = Float32Array.from({ length: size }, () => random.normal());
      continue;
    }
    const [batch = 1, sequence = 1] = input.shape;
    const own = raggedMask(batch, sequence, padded);
    if (isMask(input.name)) data[input.name] = own;
    else {
      const rows = rowsRead(graph, input);
      data[input.name] = Int32Array.from({ length: size }, () => random.int(rows));
      if (!/^decoder_/.test(input.name)) mask ??= own;
    }
  }
  return { data, mask };
}

function raggedMask(batch: number, sequence: number, padded: boolean): Int32Array {
  const mask = new Int32Array(batch * sequence);
  for (let b = 0; b < batch; b++) {
    const length = padded ? Math.max(1, sequence - 2 * b) : sequence;
    mask.fill(1, b * sequence, b * sequence + length);
  }
  return mask;
}

/** Rows of the smallest table that these ids look into; without one they are flags. */
function rowsRead({ nodes }: Graph, input: Value): number {
  const rows = nodes
    .filter(({ op, inputs }) => op.name === 'gather' && rootOf(inputs[1]!) === input)
    .map(({ inputs }) => inputs[0]!.shape[0]!);
  return rows.length > 0 ? least(rows) : 2;
}

/** The input that a value only views or casts. */
function rootOf(value: Value): Value {
  const from = value.producer;
  return from && (from.op.name === 'view' || from.op.name === 'cast') ? rootOf(from.inputs[0]!) : value;
}
