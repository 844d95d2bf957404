/** What LoRA makes of a layer's weight, by the graph that trains and merges it; and its two matrices once they have learnt a change. */
import { loadMethod } from '../adapters/plan.ts';
import { METHODS } from '../adapters/registry.ts';
import type { Layer } from '../adapters/types.ts';
import { createBuilder } from '../graph/builder.ts';
import type { Graph } from '../graph/types.ts';
import { fail } from '../lib/errors.ts';
import { singularValues } from '../lib/singular.ts';
import { othersTurn } from '../lib/turn.ts';
import type { Backend } from '../training/backend.ts';
import { learntNumbers } from './learnt.ts';
import type { LabApi, LoraRequest } from './protocol.ts';
import type { RunBoth } from './runs.ts';
import { loraPart } from './updateParts.ts';
import { UPDATE_SIZE } from './updatePieces.ts';
import { updateTarget } from './updateTargets.ts';

const NAME = 'layer';
const [UPDATE, WEIGHT] = ['update', 'weight'];

/** Outputs {@link UPDATE} and {@link WEIGHT}, both [outputs, inputs], of inputs W, A and B. */
async function loraGraph({ inputs, outputs, r, alpha }: LoraRequest): Promise<() => Graph> {
  const { method, graph } = await loadMethod(METHODS.lora);
  const layer: Layer = { name: NAME, kind: 'linear', in: inputs, out: outputs, hasBias: false };
  return () => {
    const g = createBuilder();
    const matrix = (name: string, ...shape: number[]) => g.input(name, { dtype: 'f32', shape });
    const W = matrix('W', outputs, inputs);
    const none = (): never => fail('internal', 'LoRA draws nothing where nothing is trained.');
    const [adapter] = graph.open(
      {
        ...{ g, training: false, reads: new Map(), siblings: [] },
        ...{ stepInput: none, shared: none, stepSeed: none },
      },
      {
        ...{ id: '0', layers: [layer], config: method.schema.parse({ r, lora_alpha: alpha }) },
        params: {
          'lora_A.weight': matrix('A', 1, r, inputs),
          'lora_B.weight': matrix('B', 1, outputs, r),
        },
      },
    );
    return g.finish({ [UPDATE]: adapter!.update!(), [WEIGHT]: adapter!.adapt({ W, bias: null }).W });
  };
}

export const createLora =
  (run: RunBoth): LabApi['lora'] =>
  async (request) => {
    const { inputs, outputs, r, alpha, W, A, B } = request;
    if (W.length !== outputs * inputs || A.length !== r * inputs || B.length !== outputs * r)
      fail(
        'bad-argument',
        `${W.length}, ${A.length} and ${B.length} numbers are not W, A and B of rank ${r} for ${inputs} inputs and ${outputs} outputs.`,
      );
    const make = await loraGraph(request);
    const key = JSON.stringify(['lora', inputs, outputs, r, alpha]);
    const answer = await run(key, make, { W, A, B });
    return { update: answer[UPDATE]!, weight: answer[WEIGHT]! };
  };

export const singularOf: LabApi['singularOf'] = async (target, seed) => [
  ...(await singularValues(updateTarget(target, seed), UPDATE_SIZE, UPDATE_SIZE, othersTurn)).values,
];

export const createUpdateLearning =
  (backend: () => Promise<Pick<Backend, 'open' | 'device'>>): LabApi['learnUpdate'] =>
  async ({ target, seed, rank, steps }) => {
    const d = UPDATE_SIZE;
    const part = loraPart(Float32Array.from(updateTarget(target, seed)), rank, seed, 'numbers');
    const numbers = await learntNumbers(await backend(), part, steps);
    return { A: numbers.slice(0, rank * d), B: numbers.slice(rank * d) };
  };
