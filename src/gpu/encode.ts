/** Recorded steps, and how they are encoded. */

export type Recorded =
  | {
      readonly kind: 'dispatch';
      readonly label: string;
      readonly shader: string;
      readonly entry: string;
      readonly pipeline: GPUComputePipeline;
      readonly group: GPUBindGroup;
      readonly workgroups: readonly [number, number, number];
    }
  | {
      readonly kind: 'copy';
      readonly label: string;
      readonly from: GPUBuffer;
      readonly fromOffset: number;
      readonly to: GPUBuffer;
      readonly toOffset: number;
      readonly bytes: number;
    };

/** Encodes steps; dispatches in a row share one compute pass. */
export function encodeSteps(
  encoder: GPUCommandEncoder,
  steps: readonly Recorded[],
  from: number,
  to: number,
): void {
  let pass: GPUComputePassEncoder | null = null;
  let pipeline: GPUComputePipeline | null = null;
  for (let i = from; i < to; i++) {
    const step = steps[i]!;
    if (step.kind === 'copy') {
      pass?.end();
      pass = null;
      encoder.copyBufferToBuffer(step.from, step.fromOffset, step.to, step.toOffset, step.bytes);
      continue;
    }
    if (!pass) {
      pass = encoder.beginComputePass();
      pipeline = null;
    }
    if (pipeline !== step.pipeline) pass.setPipeline(step.pipeline);
    pipeline = step.pipeline;
    pass.setBindGroup(0, step.group);
    pass.dispatchWorkgroups(...step.workgroups);
  }
  pass?.end();
}
