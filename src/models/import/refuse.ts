/** What is said of a model that cannot be imported: every node that stands in the way, and what was recognised all the same. */
import { PapilioError } from '../../lib/errors.ts';
import { say } from '../../lib/say.ts';
import type { OnnxGraph } from '../../onnx/types.ts';
import { type Folding, type Missing, noRule } from './fold.ts';
import { fuseConv, fuseLinear, fuseNorms } from './fuse.ts';
import { countUses, type IrGraph } from './ir.ts';
import { type ModuleInfo, tabulate } from './modules.ts';
import { familyOf, ownerOf } from './names.ts';
import { simplify } from './simplify.ts';

/** In the error's `details.recognised`. */
export interface Recognised {
  /** By config.json or by the names of the modules that were found; 'unknown' if neither tells. */
  readonly family: string;
  readonly modules: readonly { readonly name: string; readonly kind: ModuleInfo['kind'] }[];
  /** Nodes that were looked at, those among them that can be imported, and those that wait for what is missing. */
  readonly nodes: { readonly total: number; readonly supported: number; readonly waiting: number };
}

/** The modules of what was imported: everything that no other imported node reads stands in for the outputs. */
function modulesOf(folding: Folding, file: OnnxGraph): readonly ModuleInfo[] {
  const { graph } = folding;
  graph.outputs = folding.values.map((value, i) => ({ name: `${i}`, value }));
  simplify(graph);
  const uses = countUses(graph);
  graph.outputs = graph.outputs.filter(({ value }) => !uses.has(value));
  fuseConv(graph);
  fuseLinear(graph);
  simplify(graph);
  fuseNorms(graph);
  simplify(graph);
  return tabulate(graph, file).modules;
}

/** Modules that the file's tensors are named after, wherever they are read. */
function namedIn(file: OnnxGraph): ModuleInfo[] {
  const names = new Set([...file.initializers.keys()].flatMap((tensor) => ownerOf(tensor)?.module ?? []));
  return [...names].map((name) => ({ name, kind: 'other', in: 0, out: 0, parameters: {} }));
}

function summary({ family, modules, nodes }: Recognised): string {
  const layers = modules.filter(({ kind }) => kind === 'linear' || kind === 'conv1d').length;
  const linear = layers === 1 ? say`1 linear layer` : say`${layers} linear layers`;
  const all = modules.length === 1 ? say`1 module` : say`${modules.length} modules`;
  const found = [
    family === 'unknown'
      ? say`${nodes.supported} of ${nodes.total} nodes`
      : say`${nodes.supported} of ${nodes.total} nodes of a ${family} model`,
    ...(modules.length > 0 ? [say`${linear} among ${all}`] : []),
    ...(nodes.waiting > 0 ? [say`${nodes.waiting} wait for what is missing`] : []),
  ];
  return say`Recognised: ${found.join(say`, `)}.`;
}

/** Operators that a sentence names. */
const SHOWN = 5;

/** `Hardmax at "a"`, `acme.Swirl at 4 nodes, first "b"`, with what is wrong where they are known but cannot be used. */
function placed(op: string, nodes: readonly Missing[]): string {
  const [first] = nodes;
  const where = nodes.length === 1 ? `"${first!.node}"` : say`${nodes.length} nodes, first "${first!.node}"`;
  const reasons = [...new Set(nodes.map(({ reason }) => reason))].filter((why) => why !== noRule());
  return reasons.length === 0 ? say`${op} at ${where}` : say`${op} at ${where} (${reasons.join('; ')})`;
}

/** What helps: it depends on who wrote the operators. */
function advice(missing: readonly Missing[]): string {
  const ops = missing.map(({ op }) => op);
  // onnxruntime's static quantiser in its operator form: all products, sums and activations are integer operators.
  if (ops.some((op) => /(^|\.)QLinear|\.QGemm$/.test(op)))
    return say`Pick the float file of the same model, or one that was quantised dynamically or as QDQ (QuantFormat.QDQ).`;
  const foreign = ops.every((op) => op.includes('.'));
  return foreign
    ? say`Pick a file of the same model without them, such as the plain export before an optimiser or a converter changed it.`
    : say`Pick another file of the same model, or change the model so that its export needs none of them.`;
}

/**
 * @param whole the prepared graph, where only kernels are missing
 * @throws PapilioError 'unsupported-onnx'; `details` holds `missing`, all of them, and `recognised`
 */
export function refuse(
  missing: readonly Missing[],
  folding: Folding,
  whole: IrGraph | null,
  file: OnnxGraph,
  config: Readonly<Record<string, unknown>>,
): never {
  const found = whole ? tabulate(whole, file).modules : modulesOf(folding, file);
  const known = new Set(found.map(({ name }) => name));
  const modules = [...found, ...namedIn(file).filter(({ name }) => !known.has(name))];
  const blocked = new Set(missing.map(({ node }) => node)).size;
  const { visited: total, waiting } = folding;
  const recognised: Recognised = {
    family: familyOf(config, modules),
    modules: modules.map(({ name, kind }) => ({ name, kind })),
    nodes: { total, supported: Math.max(0, total - waiting - blocked), waiting },
  };
  const byOp = new Map<string, Missing[]>();
  for (const one of missing) byOp.set(one.op, [...(byOp.get(one.op) ?? []), one]);
  const kinds = [...byOp].map(([op, nodes]) => placed(op, nodes));
  const shown = kinds.slice(0, SHOWN).join('; ');
  const all = kinds.length > SHOWN ? say`${shown}; and ${kinds.length - SHOWN} more` : shown;
  const uses =
    kinds.length === 1
      ? say`The model uses an operator that Papilio cannot train through: ${all}.`
      : say`The model uses ${kinds.length} operators that Papilio cannot train through: ${all}.`;
  throw new PapilioError('unsupported-onnx', [uses, summary(recognised), advice(missing)].join(' '), {
    missing,
    recognised,
  });
}
