/**
 * Places temporaries with known lifetimes into as few buffers as possible. Buffers stay separate (WebGPU refuses to read and write
 * one buffer in one dispatch), so this assigns whole buffers: the largest temporaries first, each into the first buffer none of
 * whose slots is alive at the same time.
 */

/** A piece of storage that the scheduler hands out; its owner or its lifetime decides which buffer it becomes. */
export interface Slot {
  readonly label: string;
  readonly bytes: number;
  /** Positions of the first and last step that touches it, both included. */
  first: number;
  last: number;
  /** A buffer of its own that nothing else ever writes, so that what is never written stays zero. */
  exclusive: boolean;
}

export interface Pool {
  readonly buffers: readonly { readonly label: string; readonly bytes: number }[];
  readonly of: ReadonlyMap<Slot, number>;
}

interface PoolBuffer {
  readonly bytes: number;
  readonly labels: Set<string>;
  readonly slots: Slot[];
  readonly exclusive: boolean;
}

const meet = (a: Slot, b: Slot): boolean => a.first <= b.last && b.first <= a.last;

export function assignPool(slots: readonly Slot[]): Pool {
  const order = [...slots].sort((a, b) => b.bytes - a.bytes || a.first - b.first);
  const buffers: PoolBuffer[] = [];
  const of = new Map<Slot, number>();
  for (const slot of order) {
    let at = slot.exclusive
      ? -1
      : buffers.findIndex((b) => !b.exclusive && !b.slots.some((other) => meet(other, slot)));
    if (at < 0) {
      at = buffers.length;
      buffers.push({ bytes: slot.bytes, labels: new Set(), slots: [], exclusive: slot.exclusive });
    }
    const buffer = buffers[at]!;
    buffer.slots.push(slot);
    buffer.labels.add(slot.label);
    of.set(slot, at);
  }
  return { buffers: buffers.map(({ bytes, labels }) => ({ bytes, label: labelOf(labels) })), of };
}

function labelOf(labels: ReadonlySet<string>): string {
  const names = [...labels];
  return names.length > 3 ? `${names.slice(0, 3).join(', ')} and ${names.length - 3} more` : names.join(', ');
}
