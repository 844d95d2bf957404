/** Ways to break the kernels of the shader lab, prepared as edits of one line: for who wants to see what a wrong sign does, or to hand it out. */
import { fail } from '../../lib/errors.ts';
import type { KernelName, ShaderTexts } from './protocol.ts';

export interface Breakage {
  /** As a link has it; it says nothing of what is broken. */
  readonly id: string;
  readonly path: string;
  /** A part of one line, which stands in the file once, and what takes its place. */
  readonly from: string;
  readonly to: string;
}

export const UNBROKEN = '0';

const CAYLEY = 'cayley.wgsl';
const IDFT = 'spectralProducts.wgsl';

export const BREAKAGES: Readonly<Record<KernelName, readonly Breakage[]>> = {
  cayley: [
    {
      ...{ id: '1', path: CAYLEY },
      from: 'return -source[base + upper(j, i)];',
      to: 'return source[base + upper(j, i)];',
    },
    {
      ...{ id: '2', path: CAYLEY },
      from: '2.0 * m[i * 8u + j] - unit(i, j)',
      to: '2.0 * m[i * 8u + j] + unit(i, j)',
    },
    {
      ...{ id: '3', path: CAYLEY },
      from: 'm[i * 8u + k] *= -pivot;',
      to: 'm[i * 8u + k] *= pivot;',
    },
  ],
  butterfly: [
    {
      ...{ id: '1', path: 'butterfly.wgsl' },
      from: 'sum += blocks[entry + e * step] *',
      to: 'sum -= blocks[entry + e * step] *',
    },
    {
      ...{ id: '2', path: 'lib/butterfly.wgsl' },
      from: 'select(0u, width * h - h, e >= h)',
      to: 'select(0u, width * h + h, e >= h)',
    },
    {
      ...{ id: '3', path: 'butterfly.wgsl' },
      from: 'e < B; e++) {\n      let k =',
      to: 'e < B - 1u; e++) {\n      let k =',
    },
  ],
  idft: [
    { ...{ id: '1', path: IDFT }, from: 'p.scale * (a - b);', to: 'p.scale * (a + b);' },
    { ...{ id: '2', path: IDFT }, from: 'p.scale * (a + b);', to: 'p.scale * (a - b);' },
    {
      ...{ id: '3', path: IDFT },
      from: 'odd_b[i] - even_b[i]);',
      to: 'odd_b[i] + even_b[i]);',
    },
  ],
};

/** The files as a breakage has them; as they are where there is none of that name. */
export function broken(name: KernelName, files: ShaderTexts, id: string): ShaderTexts {
  const breakage = BREAKAGES[name].find((one) => one.id === id);
  if (breakage === undefined) return files;
  const { path, from, to } = breakage;
  const [before, after, ...others] = files[path]!.split(from);
  if (after === undefined || others.length > 0)
    return fail('internal', `“${from}” does not stand once in shaders/${path}.`);
  return { ...files, [path]: before! + to + after };
}
