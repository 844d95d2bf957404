/**
 * Kernels that only add up partial sums at their end say so by {@link addParts}: where nothing but the packed gradient of a step reads
 * the results, one dispatch of addParts.wgsl finishes all such sums of the step (graph/lateSums.ts decides).
 */
import type { OwnSum, PartialSum, Partials } from '../graph/types.ts';
import { spread } from './dispatch.ts';

/** Numbers of a result that a workgroup of addParts.wgsl adds up. */
const GROUP = 256;

function finish(sums: readonly PartialSum[]) {
  const table: number[] = [];
  let groups = 0;
  for (const { from, parts, count, to } of sums) {
    table.push(groups, from, parts, count, to);
    groups += Math.ceil(count / GROUP);
  }
  return {
    table: Uint32Array.from(table),
    dispatch: {
      shader: 'addParts.wgsl',
      entry: 'add_parts',
      params: [sums.length, groups],
      workgroups: spread(groups),
    },
  };
}

/** What a kernel's last dispatch adds up. */
export const addParts = (sums: readonly OwnSum[]): Partials => ({ sums, finish });
