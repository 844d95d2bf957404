/** What the page says of BOFT. */

import { mark } from '../../lib/mark.ts';
import { say } from '../../lib/say.ts';
import type { MethodCard } from '../types.ts';

export const card: MethodCard = {
  idea: () =>
    say`A dense rotation written as a product of sparse ones, wired like a fast Fourier transform: few parameters, yet every input can reach every output.`,
  formula: `W' = \\operatorname{diag}(s)\\,W R^{\\top},\\quad R = B_{${mark('m')}-1}\\cdots B_1 B_0,\\quad B_i = P_i \\operatorname{diag}(R_{i,1},\\dots,R_{i,d/${mark('b')}}) P_i^{\\top}`,
  tryThis: () =>
    say`Keep b and raise m step by step: the composed pattern fills up, each factor doubling the reach of an input.`,
  paper: () =>
    'Liu et al., Parameter-Efficient Orthogonal Finetuning via Butterfly Factorization, 2023 (arXiv:2311.06243)',
};
