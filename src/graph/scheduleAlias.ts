/**
 * Which values may be written straight into a packed buffer. A value that nothing but the pack reads, at an offset a binding may
 * start at, needs no copy: its producer writes into the pack's storage. Reshapes between producer and pack are looked through.
 */
import type { Uses } from './scheduleLive.ts';
import { byteSizeOf } from './shape.ts';
import type { Alias, Kernel, Node, Value } from './types.ts';

export const bindingAlignment = 256;

export interface Placement {
  readonly pack: Value;
  readonly offset: number;
}

export interface Placements {
  /** Kernel outputs that are written into a pack. */
  readonly of: ReadonlyMap<Value, Placement>;
  /** For each pack node, the input positions that need no copy. */
  readonly direct: ReadonlyMap<Node, ReadonlySet<number>>;
}

export function placeIntoPacks(
  nodes: readonly Node[],
  uses: Uses,
  aliasOf: (node: Node) => Alias,
  kernelOf: (node: Node) => Kernel,
): Placements {
  const of = new Map<Value, Placement>();
  const direct = new Map<Node, Set<number>>();
  const privateTo = (v: Value) => v.role === 'temporary' && uses.count.get(v) === 1 && !uses.isOutput(v);

  /** The kernel output whose whole storage `v` shows and that nothing else reads, or null. */
  const root = (v: Value): Value | null => {
    let at = v;
    while (privateTo(at)) {
      const node = at.producer!;
      if (!node.op.alias) return at;
      const alias = aliasOf(node);
      const behind = node.inputs[0]!;
      if (alias.kind !== 'view' || node.outputs.length !== 1 || alias.byteOffsets[0] !== 0) return null;
      if (byteSizeOf(behind) !== byteSizeOf(at)) return null;
      at = behind;
    }
    return null;
  };

  for (const node of nodes) {
    if (!node.op.alias) continue;
    const alias = aliasOf(node);
    if (alias.kind !== 'pack') continue;
    const pack = node.outputs[0]!;
    const kept = new Set<number>();
    node.inputs.forEach((input, k) => {
      const offset = alias.byteOffsets[k]!;
      const value = offset % bindingAlignment === 0 ? root(input) : null;
      if (!value || of.has(value)) return;
      // A kernel of several dispatches may write one output and later read it: then its outputs must not share a buffer.
      const producer = value.producer!;
      const shares = producer.outputs.some((v) => v !== value && of.get(v)?.pack === pack);
      if (shares && kernelOf(producer).dispatches.length > 1) return;
      of.set(value, { pack, offset });
      kept.add(k);
    });
    direct.set(node, kept);
  }
  return { of, direct };
}
