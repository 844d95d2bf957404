/** What the page says of full fine-tuning. */
import { say } from '../../lib/say.ts';
import type { MethodCard } from '../types.ts';

export const card: MethodCard = {
  idea: () =>
    say`Train every weight. The most freedom and the most memory; the upper end of every comparison.`,
  formula: 'W \\leftarrow W - \\eta\\,\\nabla_W L',
  tryThis: () =>
    say`Compare its parameter count and its held-out score with an adapter of a hundredth of the size.`,
  paper: () => say`Baseline`,
};
