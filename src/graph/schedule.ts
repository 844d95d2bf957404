/**
 * Turns a graph into a {@link Plan}: drops dead nodes, gives every value its storage (views and packs share it, copies stand where
 * they cannot), resolves kernels to dispatches with exact byte ranges, and lets temporaries reuse buffers by lifetime.
 *
 * Two rules of WebGPU shape this: a dispatch must not bind one buffer read-only and writable, and bindings start at multiples of
 * 256 bytes. Where sharing would break the first, the operand that is read is copied; where a view breaks the second, the view is.
 */

import { fail } from '../lib/errors.ts';
import { say } from '../lib/say.ts';
import { findLateSums, type LateSums, packOf } from './lateSums.ts';
import {
  bindingAlignment,
  liveNodes,
  type Placements,
  placeIntoPacks,
  type Uses,
  usesOf,
} from './placements.ts';
import { type Plan, type PlanBinding, type PlanOutput, type PlanRange, type Step, workOf } from './plan.ts';
import { byteSizeOf } from './shape.ts';
import type { Alias, Caps, Dispatch, Graph, Kernel, KernelNode, Node, Ref, Value } from './types.ts';

/** Where a value's bytes are. */
interface Place {
  readonly slot: Slot;
  readonly offset: number;
}

interface Operand extends Place {
  readonly bytes: number;
  readonly writable: boolean;
}

/** A step whose slots have no buffers yet. */
type Draft =
  | { kind: 'dispatch'; label: string; dispatch: Dispatch; operands: readonly Operand[] }
  | { kind: 'copy'; label: string; from: Place; to: Place; bytes: number };

/** What the graph says, read once: the nodes that run, who uses what, and how each op computes or shares. */
interface Facts {
  readonly nodes: readonly Node[];
  readonly uses: Uses;
  readonly aliasOf: (node: Node) => Alias;
  readonly kernelOf: (node: Node) => Kernel;
  readonly placements: Placements;
  /** By pack. */
  readonly late: ReadonlyMap<Value, LateSums>;
}

/** The slots of values; a temporary has one once its node is drafted. */
interface Storage {
  /** Slots of temporaries, which may come to share buffers. */
  readonly pool: readonly Slot[];
  /** Slots of inputs, constants, parameters and states, in the order in which they were first met. */
  readonly owned: ReadonlyMap<Value, Slot>;
  readonly newSlot: (label: string, bytes: number) => Slot;
  /** The slot of a packed buffer, made when the first of its parts is. */
  readonly packSlot: (pack: Value) => Slot;
  /** The slot of the partial sums that a pack finishes. */
  readonly lateSlot: (pack: Value, bytes: number) => Slot;
  /** @throws PapilioError('internal') for a temporary that has no place yet. */
  readonly place: (v: Value) => Place;
  readonly setPlace: (v: Value, place: Place) => void;
}

/** All that drafting one node needs. */
interface Drafting extends Facts {
  readonly caps: Caps;
  readonly storage: Storage;
  /** Positions at which each state is written: a view of it must not show what comes later. */
  readonly writes: ReadonlyMap<Slot, readonly number[]>;
  readonly drafts: Draft[];
}

const maxWorkgroupsPerDimension = 65535;
const roundUp = (n: number, to: number): number => Math.ceil(n / to) * to;
const boundOf = (bytes: number): number => Math.max(4, roundUp(bytes, 4));
/** Bytes of a value as bound and copied: a multiple of 4, which matters for f16 and for empty tensors. */
const boundBytes = (v: Value): number => boundOf(byteSizeOf(v));

const kernelNode = (node: Node): KernelNode<unknown> => node;

/** `softmax #12 (encoder.layer.0.attention)`: how steps and errors name a node. */
const labelOf = (node: Node): string =>
  `${node.op.name} #${node.id}${node.module ? ` (${node.module})` : ''}`;

const touch = (slot: Slot, position: number): void => {
  slot.first = Math.min(slot.first, position);
  slot.last = Math.max(slot.last, position);
};

/**
 * @throws PapilioError('limit') when a binding, a dispatch or the number of bindings exceeds what `caps` allows;
 * 'internal' when an op's description breaks a rule.
 */
export function schedule(graph: Graph, caps: Caps): Plan {
  const facts = factsOf(graph, caps);
  const storage = createStorage();
  const drafting: Drafting = {
    ...facts,
    caps,
    storage,
    writes: stateWrites(facts.nodes, storage),
    drafts: [],
  };
  facts.nodes.forEach((node, position) => {
    if (node.op.alias) draftAlias(drafting, node, position);
    else draftKernel(drafting, node, position);
  });
  for (const v of Object.values(graph.outputs)) touch(storage.place(v).slot, Number.POSITIVE_INFINITY);
  return planOf(graph, storage, drafting.drafts);
}

function factsOf(graph: Graph, caps: Caps): Facts {
  const nodes = liveNodes(graph);
  const uses = usesOf(nodes, graph.outputs);
  const kernels = new Map<Node, Kernel>();
  const aliases = new Map<Node, Alias>();
  for (const node of nodes) {
    if (node.op.kernel) kernels.set(node, node.op.kernel(kernelNode(node), caps));
    else aliases.set(node, node.op.alias!(kernelNode(node)));
  }
  const aliasOf = (node: Node) => aliases.get(node) ?? node.op.alias!(kernelNode(node));
  const kernelOf = (node: Node) => kernels.get(node)!;
  const placements = placeIntoPacks(nodes, uses, aliasOf, kernelOf);
  const late = findLateSums(nodes, placements, kernelOf, caps);
  return { nodes, uses, aliasOf, kernelOf, placements, late };
}

function createStorage(): Storage {
  const owned = new Map<Value, Slot>();
  const pool: Slot[] = [];
  const places = new Map<Value, Place>();
  const packSlots = new Map<Value, Slot>();

  const newSlot = (label: string, bytes: number): Slot => {
    const slot = {
      label,
      bytes: roundUp(bytes, 16),
      first: Number.POSITIVE_INFINITY,
      last: -1,
      exclusive: false,
    };
    pool.push(slot);
    return slot;
  };

  const packSlot = (pack: Value): Slot => {
    let slot = packSlots.get(pack);
    if (!slot) {
      slot = newSlot(pack.name, boundBytes(pack));
      const filled = pack.producer!.inputs.reduce((sum, v) => sum + byteSizeOf(v), 0);
      // What lies between the parts must read as zero in every run.
      slot.exclusive = filled < byteSizeOf(pack);
      packSlots.set(pack, slot);
    }
    return slot;
  };

  const lateSlots = new Map<Value, Slot>();
  const lateSlot = (pack: Value, bytes: number): Slot => {
    const slot = lateSlots.get(pack) ?? newSlot(`partial sums of ${pack.name}`, bytes);
    lateSlots.set(pack, slot);
    return slot;
  };

  const place = (v: Value): Place => {
    const known = places.get(v);
    if (known) return known;
    if (v.role === 'temporary') fail('internal', `${v.name} is read before it is made.`);
    const slot = {
      label: `${v.role} ${v.name}`,
      bytes: roundUp(boundBytes(v), 16),
      first: 0,
      last: Number.POSITIVE_INFINITY,
      exclusive: true,
    };
    owned.set(v, slot);
    const made = { slot, offset: 0 };
    places.set(v, made);
    return made;
  };

  return { pool, owned, newSlot, packSlot, lateSlot, place, setPlace: (v, at) => void places.set(v, at) };
}

function stateWrites(nodes: readonly Node[], storage: Storage): Map<Slot, number[]> {
  const writes = new Map<Slot, number[]>();
  nodes.forEach((node, i) => {
    for (const k of node.op.mutates ?? []) {
      const v = node.inputs[k]!;
      if (v.role !== 'state')
        fail('internal', `${labelOf(node)} writes its input ${k}, which is no state but a ${v.role}.`);
      const { slot } = storage.place(v);
      writes.set(slot, [...(writes.get(slot) ?? []), i]);
    }
  });
  return writes;
}

function draftCopy(
  { drafts }: Drafting,
  { label, from, to, bytes }: Omit<Extract<Draft, { kind: 'copy' }>, 'kind'>,
  position: number,
): void {
  if (from.offset % 4 !== 0 || to.offset % 4 !== 0) {
    fail(
      'internal',
      `${label} would copy from byte ${from.offset} to ${to.offset}; both must be multiples of 4.`,
    );
  }
  touch(from.slot, position);
  touch(to.slot, position);
  drafts.push({ kind: 'copy', label, from, to, bytes });
}

/** A view shows its source's bytes and a pack gathers its parts; what cannot share is copied. */
function draftAlias(drafting: Drafting, node: Node, position: number): void {
  const { storage, uses, writes, placements } = drafting;
  const label = labelOf(node);
  const alias = drafting.aliasOf(node);
  if (alias.kind === 'pack') {
    const output = node.outputs[0]!;
    const { pack, offset } = placements.of.get(output) ?? { pack: output, offset: 0 };
    const slot = storage.packSlot(pack);
    const direct = placements.direct.get(node)!;
    node.inputs.forEach((v, k) => {
      if (direct.has(k)) return;
      const to = { slot, offset: offset + alias.byteOffsets[k]! };
      draftCopy(drafting, { label, from: storage.place(v), to, bytes: boundBytes(v) }, position);
    });
    storage.setPlace(output, { slot, offset });
    draftLateSums(drafting, node, position);
    return;
  }
  const source = storage.place(node.inputs[0]!);
  node.outputs.forEach((v, k) => {
    const from = { slot: source.slot, offset: source.offset + alias.byteOffsets[k]! };
    const stale = (writes.get(source.slot) ?? []).some((at) => at > position && at < uses.last(v));
    if (from.offset % bindingAlignment === 0 && !stale) {
      storage.setPlace(v, from);
    } else if (uses.last(v) >= 0) {
      const to = { slot: storage.newSlot(v.name, boundBytes(v)), offset: 0 };
      draftCopy(drafting, { label, from, to, bytes: boundBytes(v) }, position);
      storage.setPlace(v, to);
    }
  });
}

/** The dispatch that finishes the sums whose results are parts of a pack. */
function draftLateSums({ caps, storage, late, drafts }: Drafting, node: Node, position: number): void {
  const pack = node.outputs[0]!;
  const sums = late.get(pack);
  if (!sums) return;
  const label = labelOf(node);
  const { table, dispatch } = sums.finish(sums.sums);
  const listed = storage.place({
    ...{ id: -1, name: `sums of ${pack.name}`, role: 'constant', producer: null, source: () => table },
    ...{ dtype: 'u32', shape: [table.length] },
  });
  const range = (place: Place, bytes: number, writable: boolean): Operand => ({ ...place, bytes, writable });
  const operands = [
    range(listed, table.byteLength, false),
    range({ slot: storage.lateSlot(pack, sums.bytes), offset: 0 }, sums.bytes, false),
    range({ slot: storage.packSlot(pack), offset: 0 }, boundBytes(pack), true),
  ];
  for (const o of operands) touch(o.slot, position);
  const whole = { ...dispatch, bindings: [{ in: 0 }, { in: 1 }, { out: 0 }] };
  checkDispatch(label, whole, caps);
  drafts.push({ kind: 'dispatch', label, dispatch: whole, operands });
}

/** Where a kernel leaves its partial sums, by scratch buffer, if they are finished late. */
function latePlaces(
  { placements, late, kernelOf, storage }: Drafting,
  node: Node,
): ReadonlyMap<number, Place> | null {
  const pack = packOf(node, kernelOf(node), placements);
  const sums = pack && late.get(pack);
  const offsets = sums?.offsets.get(node);
  if (!offsets) return null;
  const slot = storage.lateSlot(pack!, sums!.bytes);
  return new Map([...offsets].map(([scratch, offset]) => [scratch, { slot, offset }]));
}

/** The byte range that one binding of a kernel stands for. */
function operandOf(
  { caps, storage }: Drafting,
  node: Node,
  mutated: ReadonlySet<number>,
  scratch: readonly Operand[],
  ref: Ref,
): Operand {
  const label = labelOf(node);
  const value =
    ref.in !== undefined ? node.inputs[ref.in] : ref.out !== undefined ? node.outputs[ref.out] : undefined;
  const own = ref.scratch !== undefined ? scratch[ref.scratch] : undefined;
  if (!value && !own) fail('internal', `${label} binds ${JSON.stringify(ref)}, which it does not have.`);
  const whole = value ? { ...storage.place(value), bytes: boundBytes(value) } : own!;
  const offset = ref.offsetBytes ?? 0;
  const bytes = ref.sizeBytes ?? whole.bytes - offset;
  if (offset % bindingAlignment !== 0 || bytes <= 0 || offset + bytes > whole.bytes) {
    fail(
      'internal',
      `${label} binds bytes ${offset} to ${offset + bytes} of an operand of ${whole.bytes} bytes.`,
    );
  }
  if (bytes > caps.maxStorageBindingBytes) {
    fail(
      'limit',
      say`${label} needs ${bytes} bytes in one binding, but this device allows ${caps.maxStorageBindingBytes}: use a smaller batch or sequence.`,
      { node: label, bytes, limit: caps.maxStorageBindingBytes },
    );
  }
  const writable = ref.in === undefined || mutated.has(ref.in);
  return { slot: whole.slot, offset: whole.offset + offset, bytes: roundUp(bytes, 4), writable };
}

function checkDispatch(label: string, { workgroups, bindings }: Dispatch, caps: Caps): void {
  if (workgroups.some((n) => n > maxWorkgroupsPerDimension || n < 0 || !Number.isInteger(n))) {
    fail(
      'limit',
      say`${label} asks for ${workgroups.join(' × ')} workgroups; each count must be at most 65535.`,
    );
  }
  if (bindings.length > caps.maxStorageBuffersPerStage) {
    fail(
      'limit',
      say`${label} binds ${bindings.length} buffers; this device allows ${caps.maxStorageBuffersPerStage}.`,
    );
  }
}

/** The dispatches of a node, after copies of what they would otherwise read and write in one buffer. */
function draftKernel(drafting: Drafting, node: Node, position: number): void {
  const { caps, storage, placements, drafts } = drafting;
  const label = labelOf(node);
  const kernel = drafting.kernelOf(node);
  const later = latePlaces(drafting, node);
  const scratch = (kernel.scratchBytes ?? []).map((bytes, i): Operand => {
    const own = (): Place => ({
      slot: storage.newSlot(`${node.op.name} scratch`, boundOf(bytes)),
      offset: 0,
    });
    const place = later?.get(i) ?? own();
    return { ...place, bytes: roundUp(boundOf(bytes), 16), writable: true };
  });
  for (const v of node.outputs) {
    const placed = placements.of.get(v);
    storage.setPlace(
      v,
      placed
        ? { slot: storage.packSlot(placed.pack), offset: placed.offset }
        : { slot: storage.newSlot(node.op.name, boundBytes(v)), offset: 0 },
    );
  }
  const mutated = new Set(node.op.mutates ?? []);
  const copies: { from: Operand; to: Place }[] = [];
  const apart = (o: Operand): Operand => {
    const known = copies.find(
      ({ from }) => from.slot === o.slot && from.offset === o.offset && from.bytes === o.bytes,
    );
    if (known) return { ...o, ...known.to };
    const to = { slot: storage.newSlot(`${node.op.name} copy`, o.bytes), offset: 0 };
    copies.push({ from: o, to });
    draftCopy(drafting, { label, from: o, to, bytes: o.bytes }, position);
    return { ...o, ...to };
  };
  const dispatches: Draft[] = [];
  const own = later ? kernel.dispatches.slice(0, -(kernel.partials!.dispatches ?? 1)) : kernel.dispatches;
  for (const dispatch of own) {
    if (dispatch.workgroups.some((n) => n === 0)) continue;
    checkDispatch(label, dispatch, caps);
    const bound = dispatch.bindings.map((ref) => operandOf(drafting, node, mutated, scratch, ref));
    const written = new Set(bound.filter((o) => o.writable).map((o) => o.slot));
    const operands = bound.map((o) => (o.writable || !written.has(o.slot) ? o : apart(o)));
    for (const o of operands) touch(o.slot, position);
    dispatches.push({ kind: 'dispatch', label, dispatch, operands });
  }
  // All copies of a node come before its dispatches.
  drafts.push(...dispatches);
}

/** Persistent values own their buffers, temporaries share them by lifetime. */
function planOf(graph: Graph, { owned, pool, place }: Storage, drafts: readonly Draft[]): Plan {
  const used = pool.filter((s) => s.last >= 0);
  const shared = assignPool(used);
  const persistent = [...owned];
  const indexOf = new Map<Slot, number>(persistent.map(([, slot], i) => [slot, i]));
  for (const [slot, buffer] of shared.of) indexOf.set(slot, persistent.length + buffer);
  const range = (p: Place, bytes: number): PlanRange => ({
    buffer: indexOf.get(p.slot)!,
    offset: p.offset,
    bytes,
  });
  const show = (v: Value): PlanOutput => ({
    ...range(place(v), boundBytes(v)),
    type: { dtype: v.dtype, shape: v.shape },
  });
  const stepOf = (d: Draft): Step =>
    d.kind === 'copy'
      ? {
          kind: 'copy',
          label: d.label,
          from: range(d.from, d.bytes),
          to: range(d.to, d.bytes),
          work: d.bytes / 4,
        }
      : {
          kind: 'dispatch',
          label: d.label,
          dispatch: d.dispatch,
          bindings: d.operands.map((o): PlanBinding => ({ ...range(o, o.bytes), writable: o.writable })),
          work: workOf(d.operands.map((o) => o.bytes)),
        };
  const buffers = [
    ...persistent.map(([value, slot]) => ({ label: slot.label, bytes: slot.bytes, persistent: value })),
    ...shared.buffers,
  ];
  return {
    buffers,
    steps: drafts.map(stepOf),
    inputs: Object.fromEntries(
      persistent.filter(([v]) => v.role === 'input').map(([v]) => [v.name, show(v)]),
    ),
    outputs: Object.fromEntries(Object.entries(graph.outputs).map(([name, v]) => [name, show(v)])),
    peakBytes: buffers.reduce((sum, b) => sum + b.bytes, 0),
    temporaryBytes: shared.buffers.reduce((sum, b) => sum + b.bytes, 0),
    liveBytes: mostAlive(used),
  };
}

// Places temporaries with known lifetimes into as few buffers as possible. Buffers stay separate (WebGPU refuses to read and write
// one buffer in one dispatch), so this assigns whole buffers: the largest temporaries first, each into the first buffer none of
// whose slots is alive at the same time.

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

/** The most bytes of slots that are alive at one position; what has a buffer of its own counts throughout. */
function mostAlive(slots: readonly Slot[]): number {
  const changes: { at: number; bytes: number }[] = [];
  for (const { first, last, bytes, exclusive } of slots) {
    changes.push({ at: exclusive ? 0 : first, bytes });
    if (!exclusive && last < Number.POSITIVE_INFINITY) changes.push({ at: last + 1, bytes: -bytes });
  }
  let [alive, most] = [0, 0];
  // What ends at a position is gone before what begins there.
  for (const { bytes } of changes.sort((a, b) => a.at - b.at || a.bytes - b.bytes)) {
    alive += bytes;
    most = Math.max(most, alive);
  }
  return most;
}

function assignPool(slots: readonly Slot[]): Pool {
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
  return { buffers: buffers.map(({ bytes, labels }) => ({ bytes, label: joined(labels) })), of };
}

function joined(labels: ReadonlySet<string>): string {
  const names = [...labels];
  return names.length > 3 ? `${names.slice(0, 3).join(', ')} and ${names.length - 3} more` : names.join(', ');
}
