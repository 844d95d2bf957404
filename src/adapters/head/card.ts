/** What the page says of head only. */
import { say } from '../../lib/say.ts';
import type { MethodCard } from '../types.ts';

export const card: MethodCard = {
  idea: () =>
    say`Train only the modules listed in modules_to_save, usually the classifier, and leave the rest as it is.`,
  formula: 'y = W_{head}\\,f(x) + b_{head},\\quad f \\text{ frozen}',
  tryThis: () => say`Run it first on your task: what an adapter adds is the distance to this curve.`,
  paper: () => say`Baseline (linear probing)`,
};
