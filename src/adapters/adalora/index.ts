/** AdaLoRA as PEFT has it: LoRA with a diagonal, whose ranks are shared out between the layers while training. */
import { z } from 'zod';
import { ADALORA_TARGETS } from '../defaultTargets.ts';
import { biasField, dropoutField, field, fileFields, layerFields, size } from '../fields.ts';
import { initFields, lora } from '../lora/index.ts';
import { describeModule, noticeFanInFanOut, refuseLayersWithExpression } from '../rules.ts';
import type { AdapterMethod, Layer, TensorInit, TensorSpec } from '../types.ts';
import { rankOf, withoutDropped } from './ranks.ts';

/** A field of LoRA that PEFT accepts here and does not read. */
const unread = (what: string) => ({
  title: '',
  description: `${what}; AdaLoRA does not read it.`,
  group: 'file' as const,
});

const smoothing = (title: string, description: string) =>
  field(z.number(), 0.85, { title, description, group: 'advanced', min: 0.01, max: 0.99, step: 0.01 });

const schema = z.object({
  ...fileFields,
  ...layerFields,
  init_r: field(size(), 12, {
    title: 'First rank',
    description:
      'Triplets that every layer starts with: a row of A, a column of B and a number between them.',
    symbol: 'r_0',
    group: 'main',
    min: 1,
    max: 256,
    step: 1,
  }),
  target_r: field(size(), 8, {
    title: 'Final rank',
    description:
      'Triplets per layer that are left in the end, on average: important layers keep more. At the first rank or above, all stay.',
    symbol: 'r_T',
    group: 'main',
    min: 1,
    max: 256,
    step: 1,
  }),
  lora_alpha: field(z.number(), 8, {
    title: 'Alpha',
    description: 'The update is scaled by alpha / first rank.',
    symbol: '\\alpha',
    group: 'main',
    min: 0,
  }),
  lora_dropout: dropoutField(),
  orth_reg_weight: field(z.number(), 0.5, {
    title: 'Orthogonality',
    description:
      'Weight of a second loss while training that keeps the rows of A and the columns of B orthonormal; curves show the first loss alone.',
    group: 'main',
    min: 0,
    max: 10,
  }),
  tinit: field(z.int().min(0), 0, {
    title: 'Steps before',
    description: 'Steps before the first triplet is dropped.',
    symbol: 't_i',
    group: 'advanced',
    min: 0,
  }),
  tfinal: field(z.int().min(0), 0, {
    title: 'Steps after',
    description: 'Last steps, in which the choice no longer changes.',
    symbol: 't_f',
    group: 'advanced',
    min: 0,
  }),
  deltaT: field(z.int().min(1), 1, {
    title: 'Interval',
    description: 'Steps from one choice to the next.',
    symbol: '\\Delta_T',
    group: 'advanced',
    min: 1,
    max: 1000,
    step: 1,
  }),
  beta1: smoothing('Memory of importance', 'Share of the old importance that is kept at each step.'),
  beta2: smoothing('Memory of uncertainty', 'Share of the old uncertainty that is kept at each step.'),
  total_step: field(z.int().nullable(), null, {
    title: 'Schedule length',
    description: 'Steps that the schedule spans; left open, those of the run.',
    symbol: 'T',
    group: 'advanced',
  }),
  bias: biasField('lora_only'),
  init_lora_weights: field(z.union([z.boolean(), z.string()]), true, {
    title: 'Initialisation',
    description:
      'true: A and B small and random, the numbers between them zero, so no effect at the start; false: all random.',
    group: 'advanced',
    options: [true, false],
  }),
  rank_pattern: field(z.record(z.string(), z.array(z.boolean())).nullable(), null, {
    title: '',
    description: 'Which triplets of each module were kept; it belongs to the file.',
    group: 'file',
  }),
  r: field(size(), 8, unread('The rank of LoRA')),
  alpha_pattern: field(z.record(z.string(), z.number()), {}, unread('LoRA’s alpha by module')),
  use_rslora: field(z.boolean(), false, unread('LoRA’s scaling for high ranks')),
  use_dora: field(z.boolean(), false, unread('LoRA’s learned row lengths')),
  lora_bias: field(z.boolean(), false, unread('LoRA’s bias in B')),
  ...initFields,
});

export type AdaloraConfig = z.output<typeof schema>;
export type RankPattern = AdaloraConfig['rank_pattern'];

/** The factor of B·(A ⊙ E): PEFT divides by the first rank, even where a file has kept fewer, and by a hair more. */
export const adaloraScale = (rank: number, config: AdaloraConfig): number =>
  (config.lora_alpha > 0 ? config.lora_alpha : rank) / (config.init_r + 1e-5);

function tensors(layer: Layer, config: AdaloraConfig): readonly TensorSpec[] {
  const rank = rankOf(layer, config);
  const usual = config.init_lora_weights !== false;
  const normal: TensorInit = { kind: 'normal', mean: 0, std: usual ? 0.02 : 1 };
  const spec = (name: string, shape: readonly number[], init: TensorInit): TensorSpec => ({
    name,
    shape,
    trainable: true,
    init,
  });
  return [
    spec('lora_A', [rank, layer.in], normal),
    spec('lora_B', [layer.out, rank], normal),
    spec('lora_E', [rank, 1], usual ? { kind: 'zeros' } : normal),
  ];
}

const UNUSED_RANK =
  'Note that `r` is not used in AdaLora and will be ignored.If you intended to set the initial rank, use `init_r` instead.';

export const adalora: AdapterMethod<AdaloraConfig> = {
  id: 'adalora',
  peftType: 'ADALORA',
  title: 'AdaLoRA',
  family: 'low-rank',
  card: {
    idea: 'LoRA that begins with more rank than it may keep: while training, the least important directions of all layers are dropped, so that rank ends up where it is needed.',
    formula:
      "W' = W + \\tfrac{\\alpha}{r_0}\\,B\\,\\operatorname{diag}(E)\\,A,\\quad \\text{loss} + \\gamma\\,\\overline{\\lVert AA^{\\top}-I\\rVert_F}",
    tryThis:
      'Adapt every linear layer, then look into the exported rank_pattern: which layers kept their rank?',
    paper:
      'Zhang et al., Adaptive Budget Allocation for Parameter-Efficient Fine-Tuning, 2023 (arXiv:2303.10512)',
  },
  start: { learningRate: 5e-3, config: () => ({ lora_alpha: 24 }) },
  size: [{ field: 'init_r', values: { min: 1, max: 1024 }, alongside: ['target_r', 'lora_alpha'] }],
  schema,
  fixed: lora.fixed,
  requiredInFile: [],
  targets: 'required',
  defaultTargets: ADALORA_TARGETS,
  fileNames: ['lora_A', 'lora_B', 'lora_E'],
  refuse(config) {
    const { total_step, tinit, tfinal, beta1, beta2, orth_reg_weight } = config;
    const filtered = refuseLayersWithExpression(config);
    if (filtered !== null) return filtered;
    if (config.use_dora) return 'PeftType.ADALORA does not support DoRA.';
    if (total_step === null || total_step <= 0)
      return 'AdaLoRA does not work when `total_step` is None, supply a value > 0.';
    if (tinit >= total_step - tfinal)
      return "The supplied schedule values don't allow for a budgeting phase. Decrease `tfinal`/`tinit` or increase `total_step`.";
    if (orth_reg_weight < 0)
      return `\`orth_reg_weight\` should be greater than or equal to 0, but the value passed is ${orth_reg_weight}`;
    if ([beta1, beta2].some((beta) => beta <= 0 || beta >= 1))
      return `beta1 and beta2 must lie between 0 and 1, not at or beyond them; they are ${beta1} and ${beta2}.`;
    return null;
  },
  check(layer, config) {
    if (layer.kind !== 'linear' && layer.kind !== 'conv1d')
      return `Target module ${describeModule(layer)} is not supported. Currently, only \`torch.nn.Linear\` and \`Conv1D\` are supported.`;
    return config.init_r < 0
      ? `\`r\` should be a positive integer or 0, but the value passed is ${config.init_r}`
      : null;
  },
  notice(layer, config) {
    const notices = [config.r === 8 ? null : UNUSED_RANK, noticeFanInFanOut(layer, config.fan_in_fan_out)];
    return notices.filter((n) => n !== null).join(' ') || null;
  },
  count(layer, config) {
    const stored = rankOf(layer, config) * (layer.in + layer.out + 1);
    return { stored, free: stored };
  },
  pattern(layer, config) {
    const rank = rankOf(layer, config);
    const diagonal = Uint32Array.from({ length: rank }, (_, i) => i);
    return {
      role: 'update',
      factors: [
        { kind: 'dense', label: 'B', rows: layer.out, columns: rank },
        { kind: 'points', label: 'E', rows: rank, columns: rank, row: diagonal, column: diagonal },
        { kind: 'dense', label: 'A', rows: rank, columns: layer.in },
      ],
    };
  },
  tensors,
  onRead: (config) => ({ config, warnings: [] }),
  forRun: (config, totalSteps) => ((config.total_step ?? null) === null ? { total_step: totalSteps } : {}),
  beforeSave: withoutDropped,
  onWrite: () => [],
};
