/** The stages between an ONNX graph and the engine's, in order: fold at fixed sizes, simplify, fuse, simplify again. */
import type { OnnxGraph } from '../../onnx/types.ts';
import { spellAttention } from './attend.ts';
import type { Folding } from './fold.ts';
import { fold } from './fold.ts';
import type { FoldedGraph, FoldedValue } from './folded.ts';
import { fuseAttention } from './fuseAttention.ts';
import { fuseConv, fuseLinear, fuseNorms, liftReshapes } from './fuseLayers.ts';
import { fuseActivations } from './fusePointwise.ts';
import { absorbScales } from './quantOps.ts';
import { simplify } from './simplify.ts';
import { unpackProjections } from './unpack.ts';

export interface Prepared {
  readonly graph: FoldedGraph;
  readonly folding: Folding;
}

/**
 * @param fuse false leaves everything as the file spells it (linear layers and patch convolutions excepted: they carry the modules)
 */
export function prepare(
  onnx: OnnxGraph,
  opset: number,
  bindings: ReadonlyMap<string, FoldedValue>,
  outputs: readonly string[],
  fuse = true,
  config: Readonly<Record<string, unknown>> = {},
): Prepared {
  const folding = fold(onnx, opset, bindings, outputs);
  const { graph } = folding;
  // What is missing is told of the graph as it is.
  if (folding.missing.length > 0) return { graph, folding };
  simplify(graph);
  absorbScales(graph);
  spellAttention(graph, !fuse);
  simplify(graph);
  fuseConv(graph);
  fuseLinear(graph);
  liftReshapes(graph);
  simplify(graph);
  unpackProjections(graph, onnx, config);
  if (fuse) {
    fuseNorms(graph);
    simplify(graph);
    fuseActivations(graph);
    simplify(graph);
    fuseAttention(graph);
    simplify(graph);
    liftReshapes(graph);
  }
  simplify(graph, true);
  return { graph, folding };
}
