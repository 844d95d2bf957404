/** The labs' worker: small graphs on WebGPU or onnxruntime, for the page of a lab. */
import { fail } from '../lib/errors.ts';
import { serve } from '../lib/workers.ts';
import { openBackend } from '../training/backend.ts';
import { createLabs } from './labs.ts';

const host = {
  async gpu() {
    return navigator.gpu ?? fail('no-webgpu', 'This browser has no WebGPU.');
  },
  // Only where it computes is it loaded.
  onnxruntime: async () => (await import('../onnxruntime/webRuntime.ts')).loadWebRuntime(),
};

serve(createLabs((engine) => openBackend(host, engine)));
