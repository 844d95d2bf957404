/** What several methods share: reasons in PEFT's words, convolutions as matrices, the pattern of blocks on a diagonal. */

import { say } from '../lib/say.ts';
import { type CommonConfig, TASK_TYPES } from './fields.ts';
import type { Factor, Layer } from './types.ts';

/** How PEFT prints a module in its messages. */
export function describeModule(layer: Layer): string {
  switch (layer.kind) {
    case 'conv1d':
      return 'Conv1D()';
    case 'embedding':
      return `Embedding(${layer.in}, ${layer.out})`;
    case 'conv2d':
      return `Conv2d(${patchOf(layer).channels}, ${layer.out}, kernel_size=(${patchOf(layer).kernel.join(', ')}))`;
    case 'linear':
      return `Linear(in_features=${layer.in}, out_features=${layer.out}, bias=${layer.hasBias ? 'True' : 'False'})`;
  }
}

/** PEFT's refusal of a layer. @param only what it takes instead: "the following modules are supported: …" */
export const unsupported = (layer: Layer, only: string): string =>
  say`Target module ${describeModule(layer)} is not supported. Currently, only ${only}.`;

/** A square factor of blocks on the diagonal. */
export const diagonalBlocks = (label: string, size: number, block = 1, shared = false): Factor => ({
  kind: 'blocks',
  label,
  size,
  block,
  group: Uint32Array.from({ length: size }, (_, row) => Math.floor(row / block)),
  shared,
});

/** The rules every PEFT config class applies. */
export function refuseCommon(config: CommonConfig): string | null {
  if (config.task_type !== null && !TASK_TYPES.includes(config.task_type)) {
    return say`Invalid task type: '${config.task_type}'. Must be one of the following task types: ${TASK_TYPES.join(', ')}.`;
  }
  if (truthy(config.layers_pattern) && (config.layers_to_transform ?? null) === null) {
    return say`When \`layers_pattern\` is specified, \`layers_to_transform\` must also be specified. `;
  }
  if (config.bias !== undefined && !['none', 'all'].includes(config.bias) && !config.bias.endsWith('_only')) {
    return say`Requested bias: ${config.bias}, is not implemented.`;
  }
  return null;
}

/** LoRA and FourierFT refuse layer filters beside a regular expression; OFT and BOFT ignore the filter. */
export function refuseLayersWithExpression(config: CommonConfig): string | null {
  if (typeof config.target_modules !== 'string') return null;
  if ((config.layers_to_transform ?? null) !== null)
    return say`\`layers_to_transform\` cannot be used when \`target_modules\` is a str.`;
  if (truthy(config.layers_pattern))
    return say`\`layers_pattern\` cannot be used when \`target_modules\` is a str.`;
  return null;
}

export function refuseInit(value: unknown, name = 'init_weights'): string | null {
  return typeof value === 'boolean' ? null : say`Unknown initialization ${name}='${String(value)}'`;
}

/** PEFT's note when it corrects fan_in_fan_out for a layer. */
export function noticeFanInFanOut(layer: Layer, value: boolean): string | null {
  if (layer.kind === 'linear' && value) {
    return say`fan_in_fan_out is set to True but the target module is \`torch.nn.Linear\`. Setting fan_in_fan_out to False.`;
  }
  if (layer.kind === 'conv1d' && !value) {
    return say`fan_in_fan_out is set to False but the target module is \`Conv1D\`. Setting fan_in_fan_out to True.`;
  }
  return null;
}

function truthy(value: string[] | string | null | undefined): boolean {
  return value !== null && value !== undefined && value.length > 0;
}

// Convolutions as the matrices they are: their weight [out, channels, kh, kw] is [out, in] for patches of in = channels·kh·kw numbers.

export interface PatchSize {
  readonly channels: number;
  /** kh·kw. */
  readonly area: number;
  readonly kernel: readonly [number, number];
}

/** The patch of a convolution; any other layer is one of a single point. */
export function patchOf({ in: inputs, kernel = [1, 1] }: Layer): PatchSize {
  const area = kernel[0] * kernel[1];
  return { channels: inputs / area, area, kernel };
}
