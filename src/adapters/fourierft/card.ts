/** What the page says of FourierFT. */

import { mark } from '../../lib/mark.ts';
import { say } from '../../lib/say.ts';
import type { MethodCard } from '../types.ts';

export const card: MethodCard = {
  idea: () =>
    say`Treat the weight update as a picture and write it with a handful of waves. Their frequencies are drawn and stay; how high each wave is trains, so that very few numbers reach all over the weight. In the formula p is the row of an entry and q its column.`,
  formula: `\\Delta W_{pq} = \\frac{${mark('alpha', '\\alpha')}}{d_{out} d_{in}} \\sum_{k=1}^{${mark('n')}} s_k \\cos 2\\pi\\Bigl(\\frac{p\\,u_k}{d_{out}} + \\frac{q\\,v_k}{d_{in}}\\Bigr)`,
  tryThis: () =>
    say`Use n = 10 and look at the update: single waves. Then n = 1000, and raise the scaling until training becomes unstable.`,
  paper: () =>
    'Gao et al., Parameter-Efficient Fine-Tuning with Discrete Fourier Transform, 2024 (arXiv:2405.03003)',
};
