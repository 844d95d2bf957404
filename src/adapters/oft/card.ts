/** What the page says of OFT. */

import { mark } from '../../lib/mark.ts';
import { say } from '../../lib/say.ts';
import type { MethodCard } from '../types.ts';

export const card: MethodCard = {
  idea: () =>
    say`Turn the inputs of a layer instead of adding to its weight: its neurons keep their lengths and the angles between them. PEFT’s default takes a short series in place of the inverse: nearly a rotation while the turns are small, and the transpose of this R.`,
  formula: `W' = W R^{\\top},\\quad R = \\operatorname{diag}(R_1,\\dots,R_{${mark('r')}}),\\ ${mark('r')} = d/${mark('b')},\\quad R_k = (I-Q_k)(I+Q_k)^{-1},\\ Q_k^{\\top} = -Q_k`,
  tryThis: () =>
    say`Halve the block size and watch the parameter count and the accuracy: inputs in different blocks can no longer mix.`,
  paper: () =>
    'Qiu et al., Controlling Text-to-Image Diffusion by Orthogonal Finetuning, 2023 (arXiv:2306.07280)',
};
