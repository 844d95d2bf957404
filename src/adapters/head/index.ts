/** No adapter at all: only modules_to_save train. The baseline that shows what an adapter itself adds. */

import { say } from '../../lib/say.ts';
import { z } from '../../lib/schema.ts';
import { fileFields } from '../fields.ts';
import { defineMethod } from '../types.ts';

const schema = z.object(fileFields);

export type HeadConfig = z.output<typeof schema>;

export const head = defineMethod<HeadConfig>({
  id: 'head',
  peftType: 'PAPILIO_HEAD',
  get title() {
    return say`Head only`;
  },
  family: 'baseline',
  start: { learningRate: 4e-3 },
  schema,
  targets: 'none',
  fileNames: [],
  refuse: (config) =>
    (config.modules_to_save ?? []).length === 0 &&
    !['SEQ_CLS', 'TOKEN_CLS', 'QUESTION_ANS'].includes(config.task_type ?? '')
      ? say`The method "head" trains modules_to_save only, and none are listed; name the head, e.g. ["classifier"].`
      : null,
  check: () => say`The method "head" adapts no module; list it in modules_to_save to train it.`,
  count: () => ({ stored: 0, free: 0 }),
  pattern: () => ({ role: 'none', factors: [] }),
  tensors: () => [],
  onWrite: () => [
    say`This is no PEFT adapter: it holds the trained modules only, and PEFT cannot load it. Papilio can, and the merged model runs anywhere.`,
  ],
});
