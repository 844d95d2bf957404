/** The graph half of every method: the `graph` of its folder's graph.ts. Loaded by the trainer only. */
import type { CommonConfig } from './fields.ts';
import type { GraphHalf } from './graphTypes.ts';

const found = import.meta.glob<GraphHalf<CommonConfig>>('./*/graph.ts', { eager: true, import: 'graph' });

/** Methods that train whole parameters have no layers to adapt. */
const none: GraphHalf<CommonConfig> = { open: () => [] };

/** The graph half of the method in this folder. */
export const graphHalf = (id: string): GraphHalf<CommonConfig> => found[`./${id}/graph.ts`] ?? none;
