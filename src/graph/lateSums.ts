/**
 * Which sums of partials are finished late: where the results of a kernel that only adds up partial sums at its end are read by nothing
 * but a pack (the packed gradient of a step), the partial sums of all such kernels go into one buffer, and one dispatch at the pack
 * adds them up into it. Order and numbers stay what they were.
 */
import { bindingAlignment, type Placements } from './placements.ts';
import { byteSizeOf } from './shape.ts';
import type { Caps, FinishSums, Kernel, Node, PartialSum, Value } from './types.ts';

/** More bytes of partial sums than these are not kept for later. */
const MOST_BYTES = 64 * 1024 * 1024;

/** The sums that a pack finishes. */
export interface LateSums {
  readonly bytes: number;
  readonly sums: readonly PartialSum[];
  readonly finish: FinishSums;
  /** Where each kernel leaves its partial sums, in bytes, by scratch buffer. */
  readonly offsets: ReadonlyMap<Node, ReadonlyMap<number, number>>;
}

interface Found extends LateSums {
  bytes: number;
  readonly sums: PartialSum[];
  readonly offsets: Map<Node, ReadonlyMap<number, number>>;
}

/** The one pack that all sums of a kernel are parts of, if there is one. */
export function packOf(node: Node, { partials }: Kernel, placements: Placements): Value | null {
  const packs = new Set(partials?.sums.map(({ out }) => placements.of.get(node.outputs[out]!)?.pack));
  const [pack] = packs;
  return packs.size === 1 && pack ? pack : null;
}

/** By pack; a pack with a single such kernel gains nothing and is left out. */
export function findLateSums(
  nodes: readonly Node[],
  placements: Placements,
  kernelOf: (node: Node) => Kernel,
  caps: Caps,
): ReadonlyMap<Value, LateSums> {
  const limit = Math.min(MOST_BYTES, caps.maxStorageBindingBytes);
  const found = new Map<Value, Found>();
  for (const node of nodes) {
    if (!node.op.kernel) continue;
    const kernel = kernelOf(node);
    const pack = packOf(node, kernel, placements);
    if (!pack) continue;
    const { sums, finish } = kernel.partials!;
    const late: Found = found.get(pack) ?? { bytes: 0, sums: [], finish, offsets: new Map() };
    let end = late.bytes;
    const offsets = new Map<number, number>();
    const own = sums.map(({ scratch, out, parts, count }): PartialSum => {
      offsets.set(scratch, end);
      const from = end / 4;
      end += Math.ceil((4 * parts * count) / bindingAlignment) * bindingAlignment;
      return { from, parts, count, to: placements.of.get(node.outputs[out]!)!.offset / 4 };
    });
    const whole = sums.every(({ out, count }) => byteSizeOf(node.outputs[out]!) === 4 * count);
    if (!whole || end > limit || finish !== late.finish) continue;
    late.sums.push(...own);
    late.offsets.set(node, offsets);
    late.bytes = end;
    found.set(pack, late);
  }
  return new Map([...found].filter(([, { offsets }]) => offsets.size > 1));
}
