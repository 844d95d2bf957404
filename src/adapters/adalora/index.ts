/** AdaLoRA as PEFT has it: LoRA with a diagonal, whose ranks are shared out between the layers while training. */

import { say } from '../../lib/say.ts';
import { lora } from '../lora/index.ts';
import { noticeFanInFanOut, refuseLayersWithExpression, unsupported } from '../rules.ts';
import { ADALORA_TARGETS } from '../targets.ts';
import { defineMethod } from '../types.ts';
import { type AdaloraConfig, rankOf, schema, tensors, unusedRank, withoutDropped } from './config.ts';

export const adalora = defineMethod<AdaloraConfig>({
  id: 'adalora',
  peftType: 'ADALORA',
  title: 'AdaLoRA',
  family: 'low-rank',
  start: { learningRate: 5e-3, config: () => ({ lora_alpha: 24 }) },
  size: [{ field: 'init_r', values: { min: 1, max: 1024 }, alongside: ['target_r', 'lora_alpha'] }],
  schema,
  fixed: lora.fixed,
  targets: 'required',
  defaultTargets: ADALORA_TARGETS,
  fileNames: ['lora_A', 'lora_B', 'lora_E'],
  refuse(config) {
    const { total_step, tinit, tfinal, beta1, beta2, orth_reg_weight } = config;
    const filtered = refuseLayersWithExpression(config);
    if (filtered !== null) return filtered;
    if (config.use_dora) return say`PeftType.ADALORA does not support DoRA.`;
    if (total_step === null || total_step <= 0)
      return say`AdaLoRA does not work when \`total_step\` is None, supply a value > 0.`;
    if (tinit >= total_step - tfinal)
      return say`The supplied schedule values don't allow for a budgeting phase. Decrease \`tfinal\`/\`tinit\` or increase \`total_step\`.`;
    if (orth_reg_weight < 0)
      return say`\`orth_reg_weight\` should be greater than or equal to 0, but the value passed is ${orth_reg_weight}`;
    if ([beta1, beta2].some((beta) => beta <= 0 || beta >= 1))
      return say`beta1 and beta2 must lie between 0 and 1, not at or beyond them; they are ${beta1} and ${beta2}.`;
    return null;
  },
  check(layer, config) {
    if (layer.kind !== 'linear' && layer.kind !== 'conv1d')
      return unsupported(layer, say`\`torch.nn.Linear\` and \`Conv1D\` are supported`);
    return config.init_r < 0
      ? say`\`r\` should be a positive integer or 0, but the value passed is ${config.init_r}`
      : null;
  },
  notice(layer, config) {
    const notices = [config.r === 8 ? null : unusedRank(), noticeFanInFanOut(layer, config.fan_in_fan_out)];
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
  forRun: (config, totalSteps) => ((config.total_step ?? null) === null ? { total_step: totalSteps } : {}),
  beforeSave: withoutDropped,
  graph: () => import('./graph.ts'),
});
