/** What the page says of VeRA. */
import { say } from '../../lib/say.ts';
import type { MethodCard } from '../types.ts';

export const card: MethodCard = {
  idea: () =>
    say`LoRA with its two matrices drawn at random, frozen, and shared by all layers. Only two vectors per layer are learned, which scale what the matrices mix.`,
  formula:
    'y = Wx + \\Lambda_b B\\,\\Lambda_d A\\,x + b,\\quad \\Lambda_b = \\operatorname{diag}(\\lambda_b),\\ \\Lambda_d = \\operatorname{diag}(\\lambda_d)',
  tryThis: () =>
    say`Double the rank: each layer gains only that many numbers, as A and B do not train. Then change the projection seed and see how little it matters.`,
  paper: () => 'Kopiczko et al., VeRA: Vector-based Random Matrix Adaptation, 2023 (arXiv:2310.11454)',
};
