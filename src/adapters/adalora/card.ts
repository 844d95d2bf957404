/** What the page says of AdaLoRA. */

import { mark } from '../../lib/mark.ts';
import { say } from '../../lib/say.ts';
import type { MethodCard } from '../types.ts';

export const card: MethodCard = {
  idea: () =>
    say`LoRA that begins with more rank than it may keep: while training, the least important directions of all layers are dropped, so that rank ends up where it is needed.`,
  formula: `W' = W + \\tfrac{${mark('alpha', '\\alpha')}}{${mark('r_0')}}\\,B\\,\\operatorname{diag}(E)\\,A,\\quad \\text{loss} + \\gamma\\,\\overline{\\lVert AA^{\\top}-I\\rVert_F}`,
  tryThis: () =>
    say`Adapt every linear layer, then look into the exported rank_pattern: which layers kept their rank?`,
  paper: () =>
    'Zhang et al., Adaptive Budget Allocation for Parameter-Efficient Fine-Tuning, 2023 (arXiv:2303.10512)',
};
