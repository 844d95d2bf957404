/**
 * Which values may be written straight into a packed buffer. A value that nothing but the pack reads, at an offset a binding may
 * start at, needs no copy: its producer writes into the pack's storage. Reshapes between producer and pack are looked through, and a
 * pack within a pack is a part of the outer one.
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
  /** Kernel outputs that are written into a pack, and packs that are part of another, with the outermost pack. */
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

  /** The kernel output or gapless pack whose whole storage `v` shows and that nothing else reads, or null. */
  const root = (v: Value): Value | null => {
    let at = v;
    while (privateTo(at)) {
      const node = at.producer!;
      if (!node.op.alias) return at;
      const alias = aliasOf(node);
      if (alias.kind === 'pack') {
        const filled = node.inputs.reduce((sum, input) => sum + byteSizeOf(input), 0);
        return filled === byteSizeOf(at) ? at : null;
      }
      const behind = node.inputs[0]!;
      if (node.outputs.length !== 1 || alias.byteOffsets[0] !== 0) return null;
      if (byteSizeOf(behind) !== byteSizeOf(at)) return null;
      at = behind;
    }
    return null;
  };

  // An output that a later dispatch of its kernel binds again may be read there, while that dispatch writes another one.
  const boundAgain = (producer: Node, v: Value): boolean => {
    const at = producer.outputs.indexOf(v);
    return kernelOf(producer).dispatches.filter((d) => d.bindings.some((b) => b.out === at)).length > 1;
  };

  // Outer packs come after the packs they hold.
  for (const node of [...nodes].reverse()) {
    if (!node.op.alias) continue;
    const alias = aliasOf(node);
    if (alias.kind !== 'pack') continue;
    const { pack, offset: base } = of.get(node.outputs[0]!) ?? { pack: node.outputs[0]!, offset: 0 };
    const kept = new Set<number>();
    node.inputs.forEach((input, k) => {
      const offset = base + alias.byteOffsets[k]!;
      const value = offset % bindingAlignment === 0 ? root(input) : null;
      if (!value || of.has(value)) return;
      const producer = value.producer!;
      const siblings = producer.outputs.filter((v) => v !== value && of.get(v)?.pack === pack);
      if (siblings.length > 0 && [value, ...siblings].some((v) => boundAgain(producer, v))) return;
      of.set(value, { pack, offset });
      kept.add(k);
    });
    direct.set(node, kept);
  }
  return { of, direct };
}
