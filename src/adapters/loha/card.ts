/** What the page says of LoHa. */

import { mark } from '../../lib/mark.ts';
import { say } from '../../lib/say.ts';
import type { MethodCard } from '../types.ts';

export const card: MethodCard = {
  idea: () =>
    say`Multiply two low-rank matrices entry by entry. With the numbers of a rank-2r LoRA the update can reach rank r squared.`,
  formula: `\\Delta W = \\tfrac{${mark('alpha', '\\alpha')}}{${mark('r')}}\\,(A_1 B_1) \\odot (A_2 B_2),\\quad A_i \\in \\mathbb{R}^{d_{out} \\times ${mark('r')}},\\ B_i \\in \\mathbb{R}^{${mark('r')} \\times d_{in}}`,
  tryThis: () =>
    say`Compare it with LoRA of twice its rank, which has as many parameters: which of the two fits your data better?`,
  paper: () =>
    'Hyeon-Woo et al., FedPara: Low-Rank Hadamard Product for Communication-Efficient Federated Learning, 2021 (arXiv:2108.06098)',
};
