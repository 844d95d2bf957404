/**
 * Functions that a model defines (ModelProto.functions) written out where they are called, as onnxruntime does it: torch.onnx's dynamo
 * exporter writes one for every module or library operator. Bodies are read by the model's own opset, whatever the function says, and
 * an operator that the runtime knows is not replaced by a function of its name.
 */
import { create } from '@bufbuild/protobuf';
import type { AttributeProto, FunctionProto, GraphProto, ModelProto, NodeProto } from 'onnx-buf';
import { AttributeProtoSchema, GraphProtoSchema, ModelProtoSchema, NodeProtoSchema } from 'onnx-buf';
import { type Budget, createBudget } from '../lib/budget.ts';
import { fail } from '../lib/errors.ts';
import { say } from '../lib/say.ts';
import { mapSubgraphs, subgraphsOf, withFields } from './proto.ts';
import type { OnnxModel } from './types.ts';
import { viewModel } from './view.ts';

/** Functions call functions; deeper than this they go in a circle. */
const DEEPEST = 64;
/** Letters of a name that weigh as much as a node. */
const LETTERS_PER_NODE = 256;

const keyOf = (domain: string, name: string, overload: string): string =>
  [domain === 'ai.onnx' ? '' : domain, name, overload].join('\n');

/** Attributes of a call by name, and what the function says of those left out. */
type CallAttributes = ReadonlyMap<string, AttributeProto>;

/** Names inside one written-out body: the caller's for inputs and outputs, new ones for the rest. */
type Rename = (name: string) => string;

/** Calls `visit` for every node, subgraphs included. */
function eachNode(nodes: readonly NodeProto[], visit: (node: NodeProto) => void): void {
  for (const node of nodes) {
    visit(node);
    for (const a of node.attribute) for (const g of subgraphsOf(a)) eachNode(g.node, visit);
  }
}

/** Every name of a value in nodes and their subgraphs. */
function namesIn(nodes: readonly NodeProto[], into: Set<string>): void {
  const ofGraph = (g: GraphProto): void => {
    for (const { name } of [...g.input, ...g.output, ...g.initializer]) into.add(name);
  };
  eachNode(nodes, (node) => {
    for (const name of [...node.input, ...node.output]) into.add(name);
    for (const a of node.attribute) for (const g of subgraphsOf(a)) ofGraph(g);
  });
}

/** The call's value for an attribute that the body refers to, else the function's own; null where neither has one. */
function resolved(a: AttributeProto, attributes: CallAttributes): AttributeProto | null {
  if (a.refAttrName === '') return a;
  const value = attributes.get(a.refAttrName);
  return value ? withFields(AttributeProtoSchema, value, { name: a.name, refAttrName: '' }) : null;
}

/**
 * What a node of a body is called: the place of the call is the place of the module, so a plain name joins the call's last part, and a
 * path inside the body goes on from there.
 */
function pathOf(call: string, inner: string): string {
  if (!call.startsWith('/')) return inner.startsWith('/') || call === '' ? inner : `${call}/${inner}`;
  const place = call.slice(0, call.lastIndexOf('/'));
  if (inner.startsWith('/')) return inner.startsWith(`${place}/`) ? inner : `${place}${inner}`;
  return inner.includes('/') ? `${place}/${inner}` : `${call}${inner ? `_${inner}` : ''}`;
}

class Inliner {
  private readonly functions: ReadonlyMap<string, FunctionProto>;
  private readonly taken = new Set<string>();
  private readonly nodeNames = new Set<string>();
  private readonly prefixes = new Set<string>();
  /** The last number put behind a name that was taken. */
  private readonly counts = new Map<string, number>();
  private readonly budget: Budget;
  readonly used = new Set<FunctionProto>();

  constructor(
    proto: ModelProto,
    isOperator: (domain: string, opType: string) => boolean,
    inputBytes: number,
  ) {
    this.budget = createBudget('unfoldedNodes', inputBytes);
    this.functions = new Map(
      proto.functions
        .filter((f) => !isOperator(f.domain === 'ai.onnx' ? '' : f.domain, f.name))
        .map((f) => [keyOf(f.domain, f.name, f.overload), f]),
    );
    namesIn(proto.graph!.node, this.taken);
    eachNode(proto.graph!.node, ({ name }) => this.nodeNames.add(name));
    for (const { name } of [...proto.graph!.input, ...proto.graph!.initializer]) this.taken.add(name);
  }

  nodes(list: readonly NodeProto[], depth = 0): NodeProto[] {
    return list.flatMap((node) => {
      const f = this.functions.get(keyOf(node.domain, node.opType, node.overload));
      return f ? this.call(f, node, depth) : [mapSubgraphs(node, (g) => this.graph(g, depth))];
    });
  }

  graph(g: GraphProto, depth = 0): GraphProto {
    return withFields(GraphProtoSchema, g, { node: this.nodes(g.node, depth) });
  }

  private call(f: FunctionProto, call: NodeProto, depth: number): NodeProto[] {
    if (depth >= DEEPEST)
      fail(
        'malformed-onnx',
        say`The function ${f.domain}.${f.name} calls itself, or stands in more than ${DEEPEST} calls in one another; export the model without functions of its own.`,
      );
    this.used.add(f);
    const attributes: CallAttributes = new Map(
      [...f.attributeProto, ...call.attribute].map((a) => [a.name, a] as const),
    );
    const prefix = this.freshPrefix(call.name || call.output.find(Boolean) || f.name, f);
    const names = new Map<string, string>([['', '']]);
    for (const [i, name] of f.input.entries()) names.set(name, call.input[i] ?? '');
    const handedOn: NodeProto[] = [];
    f.output.forEach((name, i) => {
      const wanted = call.output[i] ?? '';
      const known = names.get(name);
      if (known === undefined) names.set(name, wanted || `${prefix}${name}`);
      else if (wanted !== '')
        handedOn.push(create(NodeProtoSchema, { opType: 'Identity', input: [known], output: [wanted] }));
    });
    const rename: Rename = (name) => names.get(name) ?? `${prefix}${name}`;
    const letters = f.node.length * (prefix.length + call.name.length);
    this.budget.take(
      1 + f.node.length + Math.ceil(letters / LETTERS_PER_NODE),
      say`The function ${f.domain}.${f.name}`,
    );
    const body = f.node.map((node) => this.instance(node, call, attributes, rename));
    return [...this.nodes(body, depth + 1), ...handedOn];
  }

  /** Ends in a slash and begins no name of the model. */
  private freshPrefix(base: string, f: FunctionProto): string {
    const inner = new Set<string>();
    namesIn(f.node, inner);
    for (let i = this.counts.get(`${base}/`) ?? 0; ; i++) {
      const prefix = `${base}${i === 0 ? '' : `_${i}`}/`;
      this.counts.set(`${base}/`, i + 1);
      if (this.prefixes.has(prefix) || [...inner].some((name) => this.taken.has(prefix + name))) continue;
      this.prefixes.add(prefix);
      return prefix;
    }
  }

  /** No two nodes may have one name. */
  private nodeName(wanted: string): string {
    if (wanted === '') return '';
    let name = wanted;
    for (let i = this.counts.get(wanted) ?? 1; this.nodeNames.has(name); i++) {
      name = `${wanted}_${i}`;
      this.counts.set(wanted, i + 1);
    }
    this.nodeNames.add(name);
    return name;
  }

  private instance(node: NodeProto, call: NodeProto, attributes: CallAttributes, rename: Rename): NodeProto {
    const attribute = node.attribute.flatMap((a) => resolved(a, attributes) ?? []);
    const own = new Set(node.metadataProps.map(({ key }) => key));
    const made = withFields(NodeProtoSchema, node, {
      input: node.input.map(rename),
      output: node.output.map(rename),
      name: this.nodeName(pathOf(call.name, node.name)),
      attribute,
      metadataProps: [...node.metadataProps, ...call.metadataProps.filter(({ key }) => !own.has(key))],
    });
    return mapSubgraphs(made, (g) => this.body(g, call, attributes, rename));
  }

  /** A subgraph inside a function: everything in it is the function's. */
  private body(g: GraphProto, call: NodeProto, attributes: CallAttributes, rename: Rename): GraphProto {
    const called = <T extends { name: string }>(item: T): T => ({ ...item, name: rename(item.name) });
    return withFields(GraphProtoSchema, g, {
      node: g.node.map((node) => this.instance(node, call, attributes, rename)),
      initializer: g.initializer.map(called),
      input: g.input.map(called),
      output: g.output.map(called),
      valueInfo: [],
    });
  }
}

/**
 * The model without functions; itself if it has none.
 * @param isOperator whether the runtime has an operator of that domain ('' the default one) and name
 * @param inputBytes of the file: a larger one may unfold into more
 * @throws PapilioError 'malformed-onnx' for functions that call each other in a circle, 'too-large' for those that unfold into too much
 */
export function inlineFunctions(
  model: OnnxModel,
  isOperator: (domain: string, opType: string) => boolean = (domain) => domain === '',
  inputBytes = 0,
): OnnxModel {
  const { proto } = model;
  if (proto.functions.length === 0) return model;
  const inliner = new Inliner(proto, isOperator, inputBytes);
  const graph = inliner.graph(proto.graph!);
  const left = new Set<string>();
  eachNode(graph.node, ({ domain }) => left.add(domain === 'ai.onnx' ? '' : domain));
  const imports = new Map(proto.opsetImport.map((o) => [o.domain === 'ai.onnx' ? '' : o.domain, o]));
  for (const f of inliner.used)
    for (const o of f.opsetImport) if (!imports.has(o.domain)) imports.set(o.domain, o);
  const opsetImport = [...imports].flatMap(([domain, o]) => (domain === '' || left.has(domain) ? [o] : []));
  return viewModel(
    withFields(ModelProtoSchema, proto, { graph, functions: [], opsetImport }),
    model.external,
  );
}
