/** The formulas of the pages, in KaTeX; what is marked has the colour and the name of its control. */
import { mark } from '../Formula.tsx';

const [q, b, d, m, r] = [mark('q'), mark('b'), mark('d'), mark('m'), mark('r')];
const [Q, R, W] = [mark('Q'), mark('R'), mark('W')];
const [n, u, v] = [mark('n'), mark('u'), mark('u', 'v')];

export const LAYER = `y = ${W}x, \\qquad \\cos\\angle(w_i, w_j) = \\frac{w_i \\cdot w_j}{\\lVert w_i\\rVert\\,\\lVert w_j\\rVert}`;
export const ENERGY = `E(${W}) = \\sum_{i<j} \\frac{1}{\\lVert \\hat w_i - \\hat w_j\\rVert}`;
export const TURNED = `w_i' = ${R}\\,w_i, \\qquad ${W}' = ${W}${R}^{\\top}, \\qquad ${R}^{\\top}${R} = I`;
export const CAYLEY = `${R} = (I - ${Q})\\,(I + ${Q})^{-1}, \\qquad ${Q} = \\begin{pmatrix} 0 & ${q} \\\\ -${q} & 0 \\end{pmatrix}`;
export const BLOCKS = `${R} = \\operatorname{diag}(R_1, \\dots,\\,R_{${d}/${b}}), \\qquad \\tfrac{1}{2}\\,${d}\\,(${b}-1)`;
export const FACTORS = `${R} = B_{${m}} \\cdots\\,B_2\\,B_1, \\qquad \\tfrac{1}{2}\\,${m}\\,${d}\\,(${b}-1)`;
export const LORA = `${W}' = ${W} + \\tfrac{\\alpha}{${r}}\\,B A, \\qquad ${r}\\,(d_{\\text{in}} + d_{\\text{out}})`;
export const WAVE = String.raw`\cos\frac{2\pi}{d}\,(p\,${u} + q\,${v})`;
export const INVERSE = String.raw`${mark('W', '\\Delta{W}')}_{pq} = \frac{\alpha}{d^2} \sum_{k=1}^{${n}} s_k \cos\frac{2\pi}{d}\,(p\,${u}_k + q\,${v}_k)`;
