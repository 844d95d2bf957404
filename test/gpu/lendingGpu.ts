/** A GPU with one device for everybody who opens one. */
/** The object with some of its members replaced; all others, and what they act on, are its own. */
function with_<T extends object>(object: T, own: Partial<T>): T {
  return new Proxy(object, {
    get(target, name) {
      if (name in own) return own[name as keyof T];
      const value: unknown = Reflect.get(target, name, target);
      return typeof value === 'function' ? value.bind(target) : value;
    },
    set: (target, name, value) => Reflect.set(target, name, value, target),
  });
}

/**
 * The same GPU, of which every device that somebody opens is one, and outlives them all: what is compiled for one run is there for the next. For runs
 * of which the end of the device is not what is tested.
 */
export function lendingGpu(gpu: GPU): GPU {
  let lent: Promise<GPUDevice> | undefined;
  // A device knows a pipeline again for as long as somebody has it.
  const pipelines: GPUComputePipeline[] = [];
  const lend = (device: GPUDevice): GPUDevice =>
    with_(device, {
      destroy: () => undefined,
      async createComputePipelineAsync(descriptor) {
        const pipeline = await device.createComputePipelineAsync(descriptor);
        pipelines.push(pipeline);
        return pipeline;
      },
    });
  return with_(gpu, {
    async requestAdapter(options) {
      const adapter = await gpu.requestAdapter(options);
      return (
        adapter &&
        with_(adapter, {
          requestDevice(descriptor) {
            lent ??= adapter.requestDevice(descriptor);
            return lent.then(lend);
          },
        })
      );
    },
  });
}
