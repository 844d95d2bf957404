/** VeRA as PEFT has it: one pair of frozen random matrices for the whole model, and two learned vectors per layer that scale them. */
import { z } from 'zod';
import { fail } from '../../lib/errors.ts';
import { mt19937 } from '../../lib/mt19937.ts';
import { VERA_TARGETS } from '../defaultTargets.ts';
import { biasField, dropoutField, field, fileFields, layerFields, size } from '../fields.ts';
import { describeModule, noticeFanInFanOut } from '../rules.ts';
import type { AdapterMethod, Layer } from '../types.ts';

const { exclude_modules: _unknownToVera, ...targets } = layerFields;

const schema = z.object({
  ...fileFields,
  ...targets,
  r: field(size(), 256, {
    title: 'Rank',
    description: 'Rows of A and columns of B. They are frozen, so a high rank costs few trained numbers.',
    symbol: 'r',
    group: 'main',
    min: 1,
    max: 1024,
    step: 1,
  }),
  projection_prng_key: field(z.int(), 0, {
    title: 'Projection seed',
    description: 'Draws the frozen matrices; the same numbers as in PEFT for the same seed.',
    group: 'advanced',
  }),
  save_projection: field(z.boolean(), true, {
    title: 'Save the matrices',
    description:
      'Store the frozen matrices in the adapter file too; otherwise they are drawn again from the seed.',
    group: 'advanced',
  }),
  vera_dropout: dropoutField(),
  d_initial: field(z.number(), 0.1, {
    title: 'First scale',
    description: 'What every entry of the inner vector starts with.',
    symbol: 'd',
    group: 'advanced',
    step: 0.05,
  }),
  bias: biasField('vera_only'),
  init_weights: field(z.boolean(), true, {
    title: 'Start without effect',
    description:
      'true: the outer vector starts at zero; false: it starts at one and the inner vector is random.',
    group: 'advanced',
  }),
});

export type VeraConfig = z.output<typeof schema>;

const NOT_SAVED =
  'Specified to not save vera_A and vera_B within the state dictionary, instead they will be restored using the PRNG key store in `config.projection_prng_key`. Consider setting `config.save_projection` to `True` to guarantee restoring the checkpoint correctly on all system configurations.';

const diagonal = (label: string, size: number) => ({
  kind: 'blocks' as const,
  label,
  size,
  block: 1,
  group: Uint32Array.from({ length: size }, (_, i) => i),
  shared: false,
});

function projections(layers: readonly Layer[], config: VeraConfig) {
  const sizes = {
    r: config.r,
    in: Math.max(...layers.map((l) => l.in)),
    out: Math.max(...layers.map((l) => l.out)),
  };
  let drawn: ReturnType<typeof drawProjections> | undefined;
  const both = () => {
    drawn ??= drawProjections(sizes, config.projection_prng_key);
    return drawn;
  };
  return [
    { name: 'vera_A', shape: [sizes.r, sizes.in], make: () => both().A },
    { name: 'vera_B', shape: [sizes.out, sizes.r], make: () => both().B },
  ];
}

export const vera: AdapterMethod<VeraConfig> = {
  id: 'vera',
  peftType: 'VERA',
  title: 'VeRA',
  family: 'low-rank',
  card: {
    idea: 'LoRA with its two matrices drawn at random, frozen, and shared by all layers. Only two vectors per layer are learned, which scale what the matrices mix.',
    formula:
      'y = Wx + \\Lambda_b B\\,\\Lambda_d A\\,x + b,\\quad \\Lambda_b = \\operatorname{diag}(\\lambda_b),\\ \\Lambda_d = \\operatorname{diag}(\\lambda_d)',
    tryThis:
      'Double the rank: each layer gains only that many numbers, as A and B do not train. Then change the projection seed and see how little it matters.',
    paper: 'Kopiczko et al., VeRA: Vector-based Random Matrix Adaptation, 2023 (arXiv:2310.11454)',
  },
  start: { learningRate: 1e-2, config: () => ({}) },
  size: [{ field: 'r', values: { min: 1, max: 4096 } }],
  schema,
  fixed: {},
  requiredInFile: [],
  targets: 'required',
  defaultTargets: VERA_TARGETS,
  fileNames: ['vera_lambda_b', 'vera_lambda_d'],
  sharedNames: ['vera_A', 'vera_B'],
  refuse(config) {
    if (config.r === 0) return '`r` must be positive; with 0 PEFT stops with "float division by zero".';
    if (config.r < 0) return `\`r\` should be a positive integer value but the value passed is ${config.r}`;
    if (config.bias !== 'none' && config.bias !== 'all' && config.bias !== 'vera_only')
      return `Requested bias: ${config.bias}, is not implemented.`;
    return null;
  },
  check(layer) {
    return layer.kind === 'linear' || layer.kind === 'conv1d'
      ? null
      : `Target module ${describeModule(layer)} is not supported. Currently, only the following modules are supported: \`torch.nn.Linear\`, \`transformers.pytorch_utils.Conv1D\`.`;
  },
  notice(layer, config) {
    const fan = noticeFanInFanOut(layer, config.fan_in_fan_out);
    const saved = config.save_projection ? null : NOT_SAVED;
    return fan !== null && saved !== null ? `${fan} ${saved}` : (fan ?? saved);
  },
  count: (layer, config) => ({ stored: layer.out + config.r, free: layer.out + config.r }),
  pattern: (layer, config) => ({
    role: 'update',
    factors: [
      diagonal('Λ_b', layer.out),
      { kind: 'dense', label: 'B', rows: layer.out, columns: config.r, frozen: true },
      diagonal('Λ_d', config.r),
      { kind: 'dense', label: 'A', rows: config.r, columns: layer.in, frozen: true },
    ],
  }),
  tensors: (layer, config) => [
    {
      name: 'vera_lambda_b',
      shape: [layer.out],
      trainable: true,
      init: config.init_weights ? { kind: 'zeros' } : { kind: 'ones' },
    },
    {
      name: 'vera_lambda_d',
      shape: [config.r],
      trainable: true,
      init: config.init_weights
        ? { kind: 'normal', mean: config.d_initial, std: 0 }
        : { kind: 'normal', mean: 0, std: 1 },
    },
  ],
  shared: projections,
  writesShared: (config) => config.save_projection,
  onRead(config, _tensors, _version, shared) {
    const has = shared.has('vera_A') && shared.has('vera_B');
    if (config.save_projection && !has) {
      fail(
        'malformed-adapter',
        'Specified to load vera_A and vera_B from state dictionary however they were not present! Save the adapter again with both, or set save_projection to false if the seed alone decides them.',
      );
    }
    if (config.save_projection) return { config, warnings: [] };
    return {
      config,
      warnings: [
        has
          ? 'save_projection is false, but the file has vera_A and vera_B; they are used.'
          : 'The file has no vera_A and vera_B (save_projection is false); they are drawn again from projection_prng_key.',
      ],
    };
  },
  onWrite: (config) => (config.save_projection ? [] : [NOT_SAVED]),
};

// VeRA's frozen random matrices, drawn as PEFT draws them: torch's CPU generator, A before B, one stream.

/** Rows and columns of A [r, largest in] and B [largest out, r]. */
export interface ProjectionSizes {
  readonly r: number;
  readonly in: number;
  readonly out: number;
}

/** Kaiming-uniform with gain √2: the bound is √6 over the root of the second dimension. */
const bound = (columns: number): number => (Math.sqrt(3) * Math.SQRT2) / Math.sqrt(columns);

/** Both matrices of a seed, row-major. */
export function drawProjections(sizes: ProjectionSizes, seed: number): { A: Float32Array; B: Float32Array } {
  const { uniform } = mt19937(seed);
  const draw = (rows: number, columns: number) => {
    const limit = bound(columns);
    return Float32Array.from({ length: rows * columns }, () => uniform(-limit, limit));
  };
  const A = draw(sizes.r, sizes.in);
  return { A, B: draw(sizes.out, sizes.r) };
}
