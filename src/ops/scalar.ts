/**
 * Scalar functions: the number each has in the shaders (shaders/lib/activation.wgsl, shaders/unary.wgsl), its value and its slope
 * in float64. A null slope: not differentiable.
 */
export interface ScalarFunction {
  readonly code: number;
  readonly value: (x: number) => number;
  readonly slope: ((x: number) => number) | null;
  /** Arguments that tests draw from. */
  readonly range: readonly [number, number];
  /** Test tolerance where WGSL promises less than usual: sin and cos to 2^-11 only. */
  readonly tolerance?: number;
}

/** Error function, to about 1e-15: its series near zero, the continued fraction of erfc beyond. */
export function erf(x: number): number {
  const a = Math.abs(x);
  if (a > 6) return Math.sign(x);
  if (a < 2.5) {
    let term = x;
    let sum = x;
    for (let k = 1; k < 80; k++) {
      term *= (-x * x) / k;
      sum += term / (2 * k + 1);
    }
    return (2 / Math.sqrt(Math.PI)) * sum;
  }
  let fraction = a;
  for (let k = 60; k >= 1; k--) fraction = a + k / 2 / fraction;
  return Math.sign(x) * (1 - Math.exp(-a * a) / (Math.sqrt(Math.PI) * fraction));
}

const sigmoid = (x: number): number => 1 / (1 + Math.exp(-x));
const gaussian = (x: number): number => Math.exp((-x * x) / 2) / Math.sqrt(2 * Math.PI);
const TANH_SCALE = Math.sqrt(2 / Math.PI);
const tanhArgument = (x: number): number => TANH_SCALE * (x + 0.044715 * x ** 3);

export const scalarFunctions = {
  none: { code: 0, value: (x) => x, slope: () => 1, range: [-3, 3] },
  relu: { code: 1, value: (x) => Math.max(x, 0), slope: (x) => (x > 0 ? 1 : 0), range: [-3, 3] },
  gelu: {
    code: 2,
    value: (x) => 0.5 * x * (1 + erf(x / Math.SQRT2)),
    slope: (x) => 0.5 * (1 + erf(x / Math.SQRT2)) + x * gaussian(x),
    range: [-4, 4],
  },
  geluTanh: {
    code: 3,
    value: (x) => 0.5 * x * (1 + Math.tanh(tanhArgument(x))),
    slope: (x) => {
      const t = Math.tanh(tanhArgument(x));
      return 0.5 * (1 + t) + 0.5 * x * (1 - t * t) * TANH_SCALE * (1 + 3 * 0.044715 * x * x);
    },
    range: [-4, 4],
  },
  silu: {
    code: 4,
    value: (x) => x * sigmoid(x),
    slope: (x) => sigmoid(x) * (1 + x * (1 - sigmoid(x))),
    range: [-6, 6],
  },
  quickGelu: {
    code: 5,
    value: (x) => x * sigmoid(1.702 * x),
    slope: (x) => sigmoid(1.702 * x) * (1 + 1.702 * x * (1 - sigmoid(1.702 * x))),
    range: [-4, 4],
  },
  neg: { code: 6, value: (x) => -x, slope: () => -1, range: [-3, 3] },
  exp: { code: 7, value: Math.exp, slope: Math.exp, range: [-4, 4] },
  log: { code: 8, value: Math.log, slope: (x) => 1 / x, range: [0.2, 5] },
  sqrt: { code: 9, value: Math.sqrt, slope: (x) => 0.5 / Math.sqrt(x), range: [0.1, 5] },
  rsqrt: { code: 10, value: (x) => 1 / Math.sqrt(x), slope: (x) => -0.5 * x ** -1.5, range: [0.2, 5] },
  reciprocal: { code: 11, value: (x) => 1 / x, slope: (x) => -1 / (x * x), range: [0.3, 4] },
  tanh: { code: 12, value: Math.tanh, slope: (x) => 1 - Math.tanh(x) ** 2, range: [-4, 4] },
  sigmoid: { code: 13, value: sigmoid, slope: (x) => sigmoid(x) * (1 - sigmoid(x)), range: [-6, 6] },
  erf: { code: 14, value: erf, slope: (x) => (2 / Math.sqrt(Math.PI)) * Math.exp(-x * x), range: [-3, 3] },
  abs: { code: 15, value: Math.abs, slope: Math.sign, range: [-3, 3] },
  sin: { code: 16, value: Math.sin, slope: Math.cos, range: [-3, 3], tolerance: 5e-4 },
  cos: { code: 17, value: Math.cos, slope: (x) => -Math.sin(x), range: [-3, 3], tolerance: 5e-4 },
  square: { code: 18, value: (x) => x * x, slope: (x) => 2 * x, range: [-3, 3] },
  floor: { code: 19, value: Math.floor, slope: null, range: [-3.3, 3.4] },
  ceil: { code: 20, value: Math.ceil, slope: null, range: [-3.3, 3.4] },
} as const satisfies Record<string, ScalarFunction>;

export type ScalarName = keyof typeof scalarFunctions;

/** What `linear` can apply in its epilogue. */
export type Activation = 'none' | 'relu' | 'gelu' | 'geluTanh' | 'silu' | 'quickGelu';

export const scalarFunction = (name: ScalarName): ScalarFunction => scalarFunctions[name];
