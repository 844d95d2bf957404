/** What a method costs on one linear layer, counted on the graphs that the engine would run. Nothing is computed. */
import { emitTrainables, inject } from '../adapters/inject.ts';
import { type AdapterPlan, loadMethod, planAdapter } from '../adapters/plan.ts';
import { METHODS } from '../adapters/registry.ts';
import type { Layer } from '../adapters/types.ts';
import { createBuilder } from '../graph/builder.ts';
import { differentiate } from '../graph/differentiate.ts';
import type { Graph, Value } from '../graph/types.ts';
import { addN } from '../ops/elementwise.ts';
import { linear } from '../ops/linear.ts';
import { multiplyAddsOf } from '../training/nodeCost.ts';
import type { Cost, CostRequest, LabApi } from './protocol.ts';

const LAYER = 'layer';

/** The layer alone, y = W x, for so many rows. */
function layerGraph({ inputs, outputs, rows }: CostRequest) {
  const g = createBuilder();
  const x = g.input('x', { dtype: 'f32', shape: [rows, inputs] });
  const W = g.parameter(
    `${LAYER}.weight`,
    { dtype: 'f32', shape: [outputs, inputs] },
    () => new Float32Array(outputs * inputs),
  );
  const y = linear(g, x, W, null, { module: LAYER });
  return { graph: g.finish({ y }), x, y };
}

/**
 * Forwards, as the adapted model answers; and a training step without its update: forwards, and the gradients of what is trained and of the input, as of a
 * layer amid others.
 */
function costOf(request: CostRequest, plan: AdapterPlan | null): Cost {
  const base = layerGraph(request);
  const graphOf = (training: boolean): Graph => {
    const g = createBuilder();
    const initial = () => new Float32Array(plan?.size ?? 0);
    const trainables = plan && emitTrainables(g, plan, { training, initial, base: base.graph });
    const value = inject(base.graph, g, trainables ?? { adapters: new Map(), saved: new Map() });
    const y = value(base.y);
    if (!training) return g.finish({ y });
    const wrt: Value[] = [value(base.x), ...(trainables?.leaves ?? [])];
    const found = differentiate(g, { of: y, seed: g.input('dY', y), wrt, sum: addN });
    return g.finish({ y, ...Object.fromEntries(wrt.map((one, i) => [`gradient ${i}`, found.get(one)!])) });
  };
  return { forward: multiplyAddsOf(graphOf(false)), step: multiplyAddsOf(graphOf(true)) };
}

/** The layer alone first, then each method in its order. */
export const costs: LabApi['costs'] = async (request) => {
  const { inputs, outputs, methods } = request;
  const layer: Layer = { name: LAYER, kind: 'linear', in: inputs, out: outputs, hasBias: false };
  const plans = methods.map(async ({ method, fields }) => {
    const loaded = await loadMethod(METHODS[method]);
    return planAdapter(loaded, loaded.method.schema.parse(fields), [layer], []);
  });
  return [null, ...(await Promise.all(plans))].map((plan) => costOf(request, plan));
};
