/** What the page says of IA3. */
import { say } from '../../lib/say.ts';
import type { MethodCard } from '../types.ts';

export const card: MethodCard = {
  idea: () =>
    say`Learn one factor per output of a layer, or per input of a feed-forward layer: the model keeps what it computes, and only its parts get louder or softer.`,
  formula: 'y = l \\odot (Wx + b),\\quad y = W(l \\odot x) + b\\ \\text{ (feed-forward)}',
  tryThis: () =>
    say`Target only the values, then only the keys: with so few numbers you can see which of them the task needs.`,
  paper: () =>
    'Liu et al., Few-Shot Parameter-Efficient Fine-Tuning is Better and Cheaper than In-Context Learning, 2022 (arXiv:2205.05638)',
};
