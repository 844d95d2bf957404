/** No adapter at all: only modules_to_save train. The baseline that shows what an adapter itself adds. */
import { z } from 'zod';
import { fileFields } from '../fields.ts';
import type { AdapterMethod } from '../types.ts';

const schema = z.object(fileFields);

export type HeadConfig = z.output<typeof schema>;

export const head: AdapterMethod<HeadConfig> = {
  id: 'head',
  peftType: 'PAPILIO_HEAD',
  title: 'Head only',
  family: 'baseline',
  card: {
    idea: 'Train only the modules listed in modules_to_save, usually the classifier, and leave the rest as it is.',
    formula: 'y = W_{head}\\,f(x) + b_{head},\\quad f \\text{ frozen}',
    tryThis: 'Run it first on your task: what an adapter adds is the distance to this curve.',
    paper: 'Baseline (linear probing)',
  },
  start: { learningRate: 4e-3, config: () => ({}) },
  schema,
  fixed: {},
  requiredInFile: [],
  targets: 'none',
  fileNames: [],
  refuse: (config) =>
    (config.modules_to_save ?? []).length === 0 &&
    !['SEQ_CLS', 'TOKEN_CLS', 'QUESTION_ANS'].includes(config.task_type ?? '')
      ? 'The method "head" trains modules_to_save only, and none are listed; name the head, e.g. ["classifier"].'
      : null,
  check: () => 'The method "head" adapts no module; list it in modules_to_save to train it.',
  notice: () => null,
  count: () => ({ stored: 0, free: 0 }),
  pattern: () => ({ role: 'none', factors: [] }),
  tensors: () => [],
  onRead: (config) => ({ config, warnings: [] }),
  onWrite: () => [
    'This is no PEFT adapter: it holds the trained modules only, and PEFT cannot load it. Papilio can, and the merged model runs anywhere.',
  ],
};
