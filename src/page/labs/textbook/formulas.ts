/** The formulas of the pages, in KaTeX; what is marked has the colour and the name of its control. */
import { mark } from '../../../common.ts';

const [q, b, d, m, r] = [mark('q'), mark('b'), mark('d'), mark('m'), mark('r')];
const [Q, R, W, turned] = [mark('Q'), mark('R'), mark('W'), mark('Wnew', "W'")];
const [n, u, v, alpha] = [mark('n'), mark('u'), mark('v'), mark('alpha', '\\alpha')];

export const LAYER = `y = ${W}x, \\qquad \\cos\\angle(w_i, w_j) = \\frac{w_i \\cdot w_j}{\\lVert w_i\\rVert\\,\\lVert w_j\\rVert}`;
export const ENERGY = `E(${W}) = \\sum_{i<j} \\frac{1}{\\lVert \\hat w_i - \\hat w_j\\rVert}`;
export const TURNED = `w_i' = ${R}\\,w_i, \\qquad ${turned} = ${W}${R}^{\\top}, \\qquad ${R}^{\\top}${R} = I`;
export const CAYLEY = `${R} = (I - ${Q})\\,(I + ${Q})^{-1}, \\qquad ${Q} = \\begin{pmatrix} 0 & ${q} \\\\ -${q} & 0 \\end{pmatrix}`;
export const BLOCKS = `${R} = \\operatorname{diag}(R_1, \\dots,\\,R_{${d}/${b}}), \\qquad \\tfrac{1}{2}\\,${d}\\,(${b}-1)`;
export const FACTORS = `${R} = B_{${m}-1} \\cdots\\,B_1\\,B_0, \\qquad \\tfrac{1}{2}\\,${m}\\,${d}\\,(${b}-1)`;
export const LORA = `${turned} = ${W} + \\tfrac{${alpha}}{${r}}\\,B A, \\qquad ${r}\\,(d_{\\text{in}} + d_{\\text{out}})`;
export const SCALED = `${mark('dW', '\\Delta{W}')} = \\tfrac{${alpha}}{${r}}\\,B A, \\qquad A \\in \\mathbb{R}^{${r} \\times {d_{\\text{in}}}}, \\quad B \\in \\mathbb{R}^{{d_{\\text{out}}} \\times {${r}}}, \\qquad B_0 = 0`;
export const WAVE = String.raw`\cos\frac{2\pi}{${d}}\,(p\,${u} + q\,${v})`;
export const INVERSE = String.raw`${mark('dW', '\\Delta{W}')}_{pq} = \frac{${alpha}}{${d}^2} \sum_{k=1}^{${n}} s_k \cos\frac{2\pi}{${d}}\,(p\,${u}_k + q\,${v}_k)`;

const inputs = mark('d', 'd_{\\text{in}}');
const outputs = 'd_{\\text{out}}';
const OWN_COUNTS = {
  oft: `\\tfrac{1}{2}\\,${inputs}\\,(${b}-1)`,
  boft: `\\tfrac{1}{2}\\,${m}\\,${inputs}\\,(${b}-1) + ${outputs}`,
  fourierft: n,
} as const;
const LORA_COUNT = `${r}\\,(${inputs} + ${outputs})`;

/** Trained numbers of a layer that have an effect: by the method, and by LoRA. */
export const countsOf = (method: keyof typeof OWN_COUNTS, title: string): string =>
  `\\text{${title}: } ${OWN_COUNTS[method]}, \\qquad \\text{LoRA: } ${LORA_COUNT}`;
