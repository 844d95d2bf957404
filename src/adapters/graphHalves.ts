/** The graph half of every method, one line each; loaded by the trainer only. */
import { boftGraph } from './boft/graph.ts';
import type { CommonConfig } from './fields.ts';
import { fourierftGraph } from './fourierft/graph.ts';
import type { GraphHalf } from './graphTypes.ts';
import { loraGraph } from './lora/graph.ts';
import { oftGraph } from './oft/graph.ts';
import type { MethodId } from './types.ts';

/** Methods that train whole parameters have no layers to adapt. */
const none: GraphHalf<CommonConfig> = { open: () => [] };

export const graphHalves: Readonly<Record<MethodId, GraphHalf<CommonConfig>>> = {
  oft: oftGraph as GraphHalf<CommonConfig>,
  boft: boftGraph as GraphHalf<CommonConfig>,
  fourierft: fourierftGraph as GraphHalf<CommonConfig>,
  lora: loraGraph as GraphHalf<CommonConfig>,
  head: none,
  full: none,
};
