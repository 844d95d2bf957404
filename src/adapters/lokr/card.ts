/** What the page says of LoKr. */

import { mark } from '../../lib/mark.ts';
import { say } from '../../lib/say.ts';
import type { MethodCard } from '../types.ts';

export const card: MethodCard = {
  idea: () =>
    say`Build a large update from a small matrix and a second one that it repeats like a stamp, scaled by each of its entries. Few numbers, yet the update can have full rank.`,
  formula: `\\Delta W = \\tfrac{${mark('alpha', '\\alpha')}}{${mark('r')}}\\; w_1 \\otimes w_2,\\quad w_1 \\in \\mathbb{R}^{l \\times m},\\ w_2 \\in \\mathbb{R}^{k \\times n},\\ lk = d_{out},\\ mn = d_{in}`,
  tryThis: () =>
    say`Set the split to 2, then to -1: the same stamp is repeated more often, and the parameters become fewer.`,
  paper: () =>
    'Yeh et al., Navigating Text-To-Image Customization: From LyCORIS Fine-Tuning to Model Evaluation, 2023 (arXiv:2309.14859)',
};
