/** What can be moved in the shader lab. */
import { say } from '../../../common.ts';
import { BREAKAGES, KERNELS, UNBROKEN } from '../../../labs.ts';
import type { Control, Quantity } from '../controls.ts';

const SIZES = ['1', '2', '3'];

export const SHADER_CONTROLS: readonly Control[] = [
  {
    ...{ name: 'kernel', title: () => say`Kernel`, kind: 'choice' },
    ...{ values: KERNELS, usual: KERNELS[0] },
    // A kernel is whole when one comes to it, unless somebody has handed it out broken.
    renews: ['broken'],
  },
  {
    // Which line it is stays with whoever makes the link.
    ...{ name: 'broken', title: () => say`What is broken`, kind: 'choice' },
    ...{ values: [UNBROKEN, ...BREAKAGES.cayley.map(({ id }) => id)], usual: UNBROKEN },
  },
  { ...{ name: 'size', title: () => say`Sizes`, kind: 'choice' }, values: SIZES, usual: '1' },
];

export const SHADER_QUANTITIES: readonly Quantity[] = [
  { name: 'wrong', title: () => say`Wrong cells of the picture` },
  { name: 'all', title: () => say`Wrong cells of all three sizes` },
];
