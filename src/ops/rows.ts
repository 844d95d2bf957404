/** Dispatches of kernels that fold over rows (lib/rows.wgsl). */
import type { Caps, Dispatch } from '../graph/types.ts';
import { perElement, spread } from './dispatch.ts';

/** Threads of a workgroup that wait for nobody, on a processor. */
export const ALONE_WORKGROUP = 4;
/** As LANES in the shader. */
const LANES = 64;

/** How `rows` rows are shared out: a workgroup for each, or on a processor a thread. */
export const sharedOut = (
  rows: number,
  { software: alone }: Pick<Caps, 'software'>,
): { readonly alone: boolean; readonly threads: number; readonly workgroups: Dispatch['workgroups'] } => ({
  alone,
  threads: alone ? ALONE_WORKGROUP : LANES,
  workgroups: alone ? perElement(rows, ALONE_WORKGROUP) : spread(rows),
});
