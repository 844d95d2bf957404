/** What the page says of LoRA. */

import { mark } from '../../lib/mark.ts';
import { say } from '../../lib/say.ts';
import type { MethodCard } from '../types.ts';

export const card: MethodCard = {
  idea: () =>
    say`Add a low-rank matrix, written as a tall one times a wide one. The yardstick that every other method is held against.`,
  formula: `W' = W + \\tfrac{${mark('alpha', '\\alpha')}}{${mark('r')}}\\,B A,\\quad A \\in \\mathbb{R}^{${mark('r')} \\times d_{in}},\\ B \\in \\mathbb{R}^{d_{out} \\times ${mark('r')}}`,
  tryThis: () =>
    say`Choose the rank whose parameter count is nearest to your BOFT run and compare the two curves.`,
  paper: () => 'Hu et al., LoRA: Low-Rank Adaptation of Large Language Models, 2021 (arXiv:2106.09685)',
};
