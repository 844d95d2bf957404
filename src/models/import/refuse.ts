/** What is said of a model that cannot be imported: every node that stands in the way, and what was recognised all the same. */
import { PapilioError } from '../../lib/errors.ts';
import type { OnnxGraph } from '../../onnx/types.ts';
import { familyOf } from './families.ts';
import type { Folding, Missing } from './fold.ts';
import type { FoldedGraph } from './folded.ts';
import { countUses } from './folded.ts';
import { fuseConv, fuseLinear, fuseNorms } from './fuseLayers.ts';
import { type ModuleInfo, tabulate } from './modules.ts';
import { ownerOf } from './names.ts';
import { simplify } from './simplify.ts';

/** In the error's `details.recognised`. */
export interface Recognised {
  /** By config.json or by the names of the modules that were found; 'unknown' if neither tells. */
  readonly family: string;
  readonly modules: readonly { readonly name: string; readonly kind: ModuleInfo['kind'] }[];
  /** Nodes that were looked at, and those among them that raise no objection. */
  readonly nodes: { readonly total: number; readonly supported: number };
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
const namedIn = (file: OnnxGraph): ModuleInfo[] =>
  [...file.initializers.keys()].flatMap((tensor) => {
    const name = ownerOf(tensor)?.module;
    return name ? [{ name, kind: 'other', in: 0, out: 0, parameters: {} }] : [];
  });

const counted = (n: number, what: string): string => `${n} ${what}${n === 1 ? '' : 's'}`;

function summary({ family, modules, nodes }: Recognised): string {
  const layers = modules.filter(({ kind }) => kind === 'linear' || kind === 'conv1d').length;
  const of = family === 'unknown' ? '' : ` of a ${family} model`;
  const named =
    modules.length > 0
      ? `, with ${counted(layers, 'linear layer')} among ${counted(modules.length, 'module')}`
      : '';
  return `The other ${nodes.supported} of ${nodes.total} nodes${of} were recognised${named}.`;
}

/**
 * @param whole the prepared graph, where only kernels are missing
 * @throws PapilioError 'unsupported-onnx'; `details` holds `missing`, all of them, and `recognised`
 */
export function refuse(
  missing: readonly Missing[],
  folding: Folding,
  whole: FoldedGraph | null,
  file: OnnxGraph,
  config: Readonly<Record<string, unknown>>,
): never {
  const modules = whole ? tabulate(whole, file).modules : modulesOf(folding, file);
  const blocked = new Set(missing.map(({ node }) => node)).size;
  const recognised: Recognised = {
    family: familyOf(config, [...modules, ...namedIn(file)]),
    modules: modules.map(({ name, kind }) => ({ name, kind })),
    nodes: { total: folding.visited, supported: folding.visited - Math.min(blocked, folding.visited) },
  };
  const kinds = [...new Set(missing.map((m) => m.op))];
  const shown = missing.slice(0, 5).map((m) => `${m.op} at "${m.node}" (${m.reason})`);
  const more = missing.length > shown.length ? ` and ${missing.length - shown.length} more` : '';
  throw new PapilioError(
    'unsupported-onnx',
    `The model uses ${kinds.length === 1 ? 'an operator' : `${kinds.length} operators`} that Papilio cannot train through: ${shown.join(', ')}${more}. ${summary(recognised)} Export it again without them, or pick another file of the same model.`,
    { missing, recognised },
  );
}
