/** The shader lab's worker: readers' shaders on a device of their own, apart from what the other labs compute on. */
import { fail } from '../../lib/errors.ts';
import { say } from '../../lib/say.ts';
import { serve } from '../../lib/workers.ts';
import { createShaderLab } from './shaderLab.ts';

serve(createShaderLab(async () => navigator.gpu ?? fail('no-webgpu', say`This browser has no WebGPU.`)));
