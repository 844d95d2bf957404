/**
 * Which tables of the file its inputs are looked up in, and how many tokens its positions reach: learned position tables that are looked
 * up or sliced, causal buffers of a fixed size, rotary tables. Found by folding the graph at two lengths and seeing what grows by one.
 */
import { fail, PapilioError } from '../../lib/errors.ts';
import type { OnnxGraph } from '../../onnx/types.ts';
import { fold } from './fold.ts';
import { allocate, oneFolding } from './importBudget.ts';
import type { InputKind } from './inputs.ts';
import { type IrValue, type Known, numbers, prune, toKnown } from './ir.ts';
import { evaluate, type Inferred } from './operators/operator.ts';

export interface Table {
  /** Name of the tensor in the file. */
  readonly tensor: string;
  readonly rows: number;
  /** Numbers in a row. */
  readonly width: number;
}

/** A tensor of the file that ends at some length. */
export interface Reach {
  readonly kind: 'position table' | 'causal buffer' | 'rotary table';
  /** Of the tensor along the sequence. */
  readonly rows: number;
  /** Tokens that it is enough for: the rows without those before the first position. */
  readonly tokens: number;
}

/** What the inputs of the file are looked up in. */
export interface Tables {
  readonly tokens: Table | null;
  readonly segments: Table | null;
  /** The nearest end first. */
  readonly reach: readonly Reach[];
}

/** How the graph is folded at a length. */
export interface TablesRequest {
  readonly graph: OnnxGraph;
  readonly opset: number;
  readonly outputs: readonly string[];
  /** The inputs at that length, data left open. */
  readonly bind: (sequence: number) => ReadonlyMap<string, IrValue>;
  /** What an open input is, by the name of its value. */
  readonly kinds: ReadonlyMap<string, InputKind>;
  readonly padId: number | null;
  /** This length and the next are compared. */
  readonly short: number;
}

/** Longer tables are believed without folding the graph at their end. */
const MOST_TRIED = 2048;

/** One look-up or slice along the sequence. */
interface Look {
  readonly op: 'Gather' | 'Slice';
  readonly name: string;
  readonly shape: readonly number[];
  readonly isFloat: boolean;
  readonly isWeight: boolean;
  /** Gather: least and largest index, by axis; Slice: per axis where it begins and ends. */
  readonly spans: readonly { readonly axis: number; readonly least: number; readonly most: number }[];
  /** Gather: whether every index is that of the token that all inputs were filled with. */
  readonly isToken: boolean;
}

/** Computes values that hang on the inputs alone, each input filled with a plain example: whole texts of one token. */
function examples(request: TablesRequest, token: number) {
  const memo = new Map<IrValue, Known | null>();
  const contents = (v: IrValue): Known | null => {
    const kind = request.kinds.get(v.name);
    const fill = (value: (i: number) => number): Known => {
      const data = allocate(v.dtype, v.shape);
      for (let i = 0; i < data.length; i++) data[i] = value(i);
      return { dtype: v.dtype, shape: v.shape, data };
    };
    const row = v.shape.at(-1) ?? 1;
    if (kind === 'input_ids') return fill(() => token);
    if (kind === 'attention_mask') return fill(() => 1);
    if (kind === 'token_type_ids') return fill(() => 0);
    if (kind === 'position_ids') return fill((i) => i % row);
    return null;
  };
  const compute = (v: IrValue, depth = 0): Known | null => {
    if (v.known && !v.weight) return toKnown(v);
    if (v.input) return contents(v);
    const seen = memo.get(v);
    if (seen !== undefined) return seen;
    memo.set(v, null);
    const node = v.producer;
    if (!node || depth > 40 || node.inputs.some((x) => x === null)) return null;
    const inputs: Known[] = [];
    for (const x of node.inputs) {
      const known = compute(x!, depth + 1);
      if (!known) return null;
      inputs.push(known);
    }
    const results = evaluate(node.op, inputs, node.attrs, v.shape);
    node.outputs.forEach((output, i) => {
      memo.set(output, results?.[i] ?? null);
    });
    return memo.get(v) ?? null;
  };
  return compute;
}

const isFloat = (v: IrValue): boolean => /float|double/.test(v.dtype);

function lookOf(
  { op, inputs, attrs, outputs }: Pick<Inferred, 'op' | 'inputs' | 'attrs' | 'outputs'>,
  index: (v: IrValue) => Known | null,
  token: number,
): Look | null {
  const [table, ids] = inputs;
  if (!table || !(table.known || table.weight)) return null;
  const common = {
    name: table.name,
    shape: table.shape,
    isFloat: isFloat(table),
    isWeight: table.weight !== null,
  };
  if (op === 'Slice') {
    const starts = numbers(attrs.starts);
    const { shape } = outputs[0]!;
    const spans = shape.map((n, axis) => ({ axis, least: starts[axis]!, most: starts[axis]! + n - 1 }));
    return { op, ...common, spans, isToken: false };
  }
  if (op !== 'Gather' || !ids) return null;
  const known = index(ids);
  if (!known || known.data.length === 0) return null;
  let [least, most] = [known.data[0]!, known.data[0]!];
  for (const id of known.data) {
    least = Math.min(least, id);
    most = Math.max(most, id);
  }
  const spans = [{ axis: attrs.axis as number, least, most }];
  return { op, ...common, spans, isToken: least === token && most === token };
}

/** Every look-up in and slice of a tensor of the file, at one length. */
const looksAt = (request: TablesRequest, sequence: number, token: number): Look[] =>
  oneFolding(() => findLooks(request, sequence, token));

function findLooks(request: TablesRequest, sequence: number, token: number): Look[] {
  const looks: Look[] = [];
  const index = examples(request, token);
  const add = (node: Parameters<typeof lookOf>[0]): void => {
    const look = lookOf(node, index, token);
    if (look) looks.push(look);
  };
  const { graph, missing } = fold(
    request.graph,
    request.opset,
    request.bind(sequence),
    request.outputs,
    (_node, inferred) => {
      // What stays a node is looked at below, with what expansions made.
      const [table, ids] = inferred.inputs;
      if (table?.known && (inferred.op === 'Slice' || (inferred.op === 'Gather' && ids?.known)))
        add(inferred);
    },
  );
  if (missing[0]) fail('shape', missing[0].reason, { shapes: missing[0].shapes });
  prune(graph);
  for (const node of graph.nodes) if (node.op === 'Gather' && node.inputs[0]?.weight) add(node);
  return looks;
}

/** Rotary tables inside operators that bring their own rotation. */
function rotaryTables({ nodes, initializers, constants }: OnnxGraph): Reach[] {
  return nodes.flatMap(({ opType, domain, inputs }) => {
    const rotary = opType === 'RotaryEmbedding' ? [domain === '' ? 1 : 2] : [];
    const index = opType === 'GroupQueryAttention' ? [7] : rotary;
    return index.flatMap((i): Reach[] => {
      const name = inputs[i] ?? '';
      const rows = (initializers.get(name) ?? constants.get(name))?.dims;
      return rows?.length === 2 ? [{ kind: 'rotary table', rows: rows[0]!, tokens: rows[0]! }] : [];
    });
  });
}

function reachKind(look: Look): Reach['kind'] {
  if (!look.isFloat) return look.shape.length >= 3 ? 'causal buffer' : 'position table';
  if (/cos|sin|rotary|freqs/i.test(look.name)) return 'rotary table';
  const [rows, columns] = look.shape.slice(-2);
  if (look.shape.length >= 3 && rows === columns && rows! > 1) return 'causal buffer';
  return 'position table';
}

const sameKind = (a: Look, b: Look): boolean =>
  a.op === b.op && a.name === b.name && a.shape.join() === b.shape.join();

/** Spans of `now` that are one longer than in `before`, with the length that their tensor ends at. */
function growing(
  before: readonly Look[],
  now: readonly Look[],
  short: number,
): (Reach & { readonly op: Look['op'] })[] {
  return now.flatMap((look) => {
    const earlier = before.filter((other) => sameKind(other, look));
    return look.spans.flatMap(({ axis, least, most }) => {
      const grew = earlier.some((other) => {
        const span = other.spans.find((s) => s.axis === axis);
        return span && span.least === least && span.most + 1 === most;
      });
      const rows = look.shape[axis]!;
      // An end that lies before the last position is no position's.
      const first = most - short;
      if (!grew || first < 0 || first !== least) return [];
      return [{ op: look.op, kind: reachKind(look), rows, tokens: rows - first }];
    });
  });
}

/** Whether the graph at `tokens` + 1 really goes beyond a tensor of `rows`: buckets of distances grow only at first. */
function goesBeyond(request: TablesRequest, { rows, tokens }: Reach, token: number): boolean {
  if (tokens + 1 > MOST_TRIED) return true;
  try {
    return looksAt(request, tokens + 1, token).some(
      (look) => look.op === 'Gather' && look.spans.some((s) => look.shape[s.axis] === rows && s.most >= rows),
    );
  } catch (error) {
    if (error instanceof PapilioError) return true;
    throw error;
  }
}

const tableOf = ({ name, shape }: Look): Table => ({
  tensor: name,
  rows: shape[0]!,
  width: shape.at(-1)!,
});

/** @throws PapilioError as folding does, for a graph that cannot be looked at at these lengths */
export function readTables(request: TablesRequest): Tables {
  const token = request.padId === 2 ? 1 : 2;
  const [before, now] = [request.short, request.short + 1].map((n) => looksAt(request, n, token)) as [
    Look[],
    Look[],
  ];
  const grown = growing(before, now, request.short);
  const found = [
    ...grown,
    ...rotaryTables(request.graph).map((reach) => ({ ...reach, op: 'Slice' as const })),
  ];
  const reach = found
    .filter((r, i) => found.findIndex((o) => o.rows === r.rows && o.tokens === r.tokens) === i)
    .filter((r) => r.op === 'Slice' || goesBeyond(request, r, token))
    .toSorted((a, b) => a.tokens - b.tokens)
    .map(({ op: _, ...rest }) => rest);
  const tables = now.filter((look) => look.op === 'Gather' && look.isWeight && look.shape.length === 2);
  const tokens = tables.filter((look) => look.isToken).toSorted((a, b) => b.shape[0]! - a.shape[0]!)[0];
  const others = tables.filter((look) => look !== tokens);
  const segments = others.find((look) => look.spans.every((s) => s.least === 0 && s.most === 0));
  return {
    tokens: tokens ? tableOf(tokens) : null,
    segments: segments ? tableOf(segments) : null,
    reach,
  };
}

/** What nothing is known of. */
export const NO_TABLES: Tables = { tokens: null, segments: null, reach: [] };
