/**
 * Turns a graph into a {@link Plan}: drops dead nodes, gives every value its storage (views and packs share it, copies stand where
 * they cannot), resolves kernels to dispatches with exact byte ranges, and lets temporaries reuse buffers by lifetime.
 *
 * Two rules of WebGPU shape this: a dispatch must not bind one buffer read-only and writable, and bindings start at multiples of
 * 256 bytes. Where sharing would break the first, the operand that is read is copied; where a view breaks the second, the view is.
 */
import { fail } from '../lib/errors.ts';
import { type Plan, type PlanBinding, type PlanOutput, type PlanRange, type Step, workOf } from './plan.ts';
import { bindingAlignment, placeIntoPacks } from './scheduleAlias.ts';
import { liveNodes, usesOf } from './scheduleLive.ts';
import { assignPool, type Slot } from './schedulePool.ts';
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

type Draft =
  | { kind: 'dispatch'; label: string; dispatch: Dispatch; operands: Operand[] }
  | { kind: 'copy'; label: string; from: Place; to: Place; bytes: number };

const maxWorkgroupsPerDimension = 65535;
const roundUp = (n: number, to: number): number => Math.ceil(n / to) * to;
/** Bytes of a value as bound and copied: a multiple of 4, which matters for f16 and for empty tensors. */
const boundBytes = (v: Value): number => Math.max(4, roundUp(byteSizeOf(v), 4));

const kernelNode = (node: Node): KernelNode<unknown> => node;

/** `softmax #12 (encoder.layer.0.attention)`: how steps and errors name a node. */
const labelOf = (node: Node): string =>
  `${node.op.name} #${node.id}${node.module ? ` (${node.module})` : ''}`;

/**
 * @throws PapilioError('limit') when a binding, a dispatch or the number of bindings exceeds what `caps` allows;
 * 'internal' when an op's description breaks a rule.
 */
export function schedule(graph: Graph, caps: Caps): Plan {
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

  // ---- storage ----
  const owned = new Map<Value, Slot>();
  const pool: Slot[] = [];
  const places = new Map<Value, Place>();
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
  const touch = (slot: Slot, position: number): void => {
    slot.first = Math.min(slot.first, position);
    slot.last = Math.max(slot.last, position);
  };
  const packSlots = new Map<Value, Slot>();
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
  const place = (v: Value): Place => {
    let known = places.get(v);
    if (known) return known;
    if (v.role === 'temporary') fail('internal', `${v.name} is read before it is made.`);
    const bytes = roundUp(boundBytes(v), 16);
    const slot = {
      label: `${v.role} ${v.name}`,
      bytes,
      first: 0,
      last: Number.POSITIVE_INFINITY,
      exclusive: true,
    };
    owned.set(v, slot);
    known = { slot, offset: 0 };
    places.set(v, known);
    return known;
  };

  // Positions at which each state is written, to see whether a view of it would show what comes later.
  const writes = new Map<Slot, number[]>();
  nodes.forEach((node, i) => {
    for (const k of node.op.mutates ?? []) {
      const v = node.inputs[k]!;
      if (v.role !== 'state')
        fail('internal', `${labelOf(node)} writes its input ${k}, which is no state but a ${v.role}.`);
      const { slot } = place(v);
      writes.set(slot, [...(writes.get(slot) ?? []), i]);
    }
  });

  // ---- steps ----
  const drafts: Draft[] = [];
  const copy = (label: string, from: Place, to: Place, bytes: number, position: number): void => {
    if (from.offset % 4 !== 0 || to.offset % 4 !== 0) {
      fail(
        'internal',
        `${label} would copy from byte ${from.offset} to ${to.offset}; both must be multiples of 4.`,
      );
    }
    touch(from.slot, position);
    touch(to.slot, position);
    drafts.push({ kind: 'copy', label, from, to, bytes });
  };

  nodes.forEach((node, position) => {
    const label = labelOf(node);
    if (node.op.alias) {
      const alias = aliasOf(node);
      if (alias.kind === 'pack') {
        const output = node.outputs[0]!;
        const { pack, offset } = placements.of.get(output) ?? { pack: output, offset: 0 };
        const slot = packSlot(pack);
        const direct = placements.direct.get(node)!;
        node.inputs.forEach((v, k) => {
          if (direct.has(k)) return;
          copy(label, place(v), { slot, offset: offset + alias.byteOffsets[k]! }, boundBytes(v), position);
        });
        places.set(output, { slot, offset });
      } else {
        const source = place(node.inputs[0]!);
        node.outputs.forEach((v, k) => {
          const offset = source.offset + alias.byteOffsets[k]!;
          const stale = (writes.get(source.slot) ?? []).some((at) => at > position && at < uses.last(v));
          if (offset % bindingAlignment === 0 && !stale) {
            places.set(v, { slot: source.slot, offset });
          } else if (uses.last(v) >= 0) {
            const slot = newSlot(v.name, boundBytes(v));
            copy(label, { slot: source.slot, offset }, { slot, offset: 0 }, boundBytes(v), position);
            places.set(v, { slot, offset: 0 });
          }
        });
      }
      return;
    }

    const kernel = kernelOf(node);
    const scratch = (kernel.scratchBytes ?? []).map((bytes) =>
      newSlot(`${node.op.name} scratch`, boundOf(bytes)),
    );
    for (const v of node.outputs) {
      const placed = placements.of.get(v);
      places.set(
        v,
        placed
          ? { slot: packSlot(placed.pack), offset: placed.offset }
          : { slot: newSlot(node.op.name, boundBytes(v)), offset: 0 },
      );
    }
    const mutated = new Set(node.op.mutates ?? []);
    const operand = (ref: Ref): Operand => {
      const value =
        ref.in !== undefined
          ? node.inputs[ref.in]
          : ref.out !== undefined
            ? node.outputs[ref.out]
            : undefined;
      const slot = ref.scratch !== undefined ? scratch[ref.scratch] : undefined;
      if (!value && !slot) fail('internal', `${label} binds ${JSON.stringify(ref)}, which it does not have.`);
      const whole = value
        ? { ...place(value), bytes: boundBytes(value) }
        : { slot: slot!, offset: 0, bytes: slot!.bytes };
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
          `${label} needs ${bytes} bytes in one binding, but this device allows ${caps.maxStorageBindingBytes}: use a smaller batch or sequence.`,
          { node: label, bytes, limit: caps.maxStorageBindingBytes },
        );
      }
      const writable = ref.in === undefined || mutated.has(ref.in);
      return { slot: whole.slot, offset: whole.offset + offset, bytes: roundUp(bytes, 4), writable };
    };

    const apart: { from: Operand; to: Place }[] = [];
    const mine: Draft[] = [];
    for (const dispatch of kernel.dispatches) {
      if (dispatch.workgroups.some((n) => n === 0)) continue;
      if (dispatch.workgroups.some((n) => n > maxWorkgroupsPerDimension || n < 0 || !Number.isInteger(n))) {
        fail(
          'limit',
          `${label} asks for ${dispatch.workgroups.join(' × ')} workgroups; each count must be at most 65535.`,
        );
      }
      if (dispatch.bindings.length > caps.maxStorageBuffersPerStage) {
        fail(
          'limit',
          `${label} binds ${dispatch.bindings.length} buffers; this device allows ${caps.maxStorageBuffersPerStage}.`,
        );
      }
      const operands = dispatch.bindings.map(operand);
      const written = new Set(operands.filter((o) => o.writable).map((o) => o.slot));
      const separated = operands.map((o) => {
        if (o.writable || !written.has(o.slot)) return o;
        const known = apart.find(
          (a) => a.from.slot === o.slot && a.from.offset === o.offset && a.from.bytes === o.bytes,
        );
        if (known) return { ...o, ...known.to };
        const to = { slot: newSlot(`${node.op.name} copy`, o.bytes), offset: 0 };
        apart.push({ from: o, to });
        copy(label, o, to, o.bytes, position);
        return { ...o, ...to };
      });
      for (const o of separated) touch(o.slot, position);
      mine.push({ kind: 'dispatch', label, dispatch, operands: separated });
    }
    // Copies were drafted above; a node's dispatches all come after them.
    drafts.push(...mine);
  });

  // ---- outputs stay, persistent values own their buffers, the rest shares ----
  for (const v of Object.values(graph.outputs)) touch(place(v).slot, Number.POSITIVE_INFINITY);
  const shared = assignPool(pool.filter((s) => s.last >= 0));
  const persistent = [...owned];
  const indexOf = new Map<Slot, number>(persistent.map(([, slot], i) => [slot, i]));
  for (const [slot, room] of shared.of) indexOf.set(slot, persistent.length + room);
  const range = (p: Place, bytes: number): PlanRange => ({
    buffer: indexOf.get(p.slot)!,
    offset: p.offset,
    bytes,
  });
  const show = (v: Value): PlanOutput => ({
    ...range(place(v), boundBytes(v)),
    type: { dtype: v.dtype, shape: v.shape },
  });
  const buffers = [
    ...persistent.map(([value, slot]) => ({ label: slot.label, bytes: slot.bytes, persistent: value })),
    ...shared.buffers,
  ];
  const temporaryBytes = shared.buffers.reduce((sum, b) => sum + b.bytes, 0);
  return {
    buffers,
    steps: drafts.map(
      (d): Step =>
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
            },
    ),
    inputs: Object.fromEntries(
      persistent.filter(([v]) => v.role === 'input').map(([v]) => [v.name, show(v)]),
    ),
    outputs: Object.fromEntries(Object.entries(graph.outputs).map(([name, v]) => [name, show(v)])),
    peakBytes: buffers.reduce((sum, b) => sum + b.bytes, 0),
    temporaryBytes,
  };
}

const boundOf = (bytes: number): number => Math.max(4, roundUp(bytes, 4));
