/**
 * PEFT's truncated series of the Cayley transform, R = I + c₁ Q + … + c_d Q^d, and its gradient, by products of whole blocks. Its powers go in pairs,
 * M_j = c_(2j+1) Q + c_(2j+2) E with E = Q², so that R = I + M₀ + E (M₁ + E (…)) takes half as many products as it has powers.
 */

/** Coefficients c₀ … c_d (since 0.18 the last one is 1; 3 and 4 terms are the same). */
export function seriesCoefficients(terms: number): number[] {
  if (terms <= 1) return [1];
  if (terms === 2) return [1, 2];
  const degree = terms <= 4 ? 3 : terms - 1;
  return [1, ...new Array<number>(degree - 1).fill(2), 1];
}

/** What computes with blocks: dispatches, or nodes of ONNX. */
export interface Blocks<M> {
  /** x y, one of them turned where told, and `add` more; it goes to `to` where that is given. */
  product(
    x: M,
    y: M,
    how?: { readonly add?: M; readonly turned?: 'x' | 'y'; readonly to?: M | undefined },
  ): M;
  /** a x + b y, or b yᵀ, or the identity more. */
  mix(
    [a, x]: readonly [number, M],
    [b, y]: readonly [number, M],
    how?: { readonly isTurned?: boolean; readonly hasUnit?: boolean; readonly to?: M | undefined },
  ): M;
}

/** Of powers 1 and 2, 3 and 4, …; 0 where there is no such power. */
const pairsOf = (coefficients: readonly number[]): (readonly [odd: number, even: number])[] =>
  Array.from({ length: Math.ceil((coefficients.length - 1) / 2) }, (_, j) => [
    coefficients[2 * j + 1]!,
    coefficients[2 * j + 2] ?? 0,
  ]);

/** What E is multiplied by, innermost last: M_j + E (M_(j+1) + …) for every pair but the first. */
function nested<M>(on: Blocks<M>, q: M, square: M, pairs: ReturnType<typeof pairsOf>): M[] {
  const sums: M[] = [];
  for (let j = pairs.length - 1; j > 0; j--) {
    const [odd, even] = pairs[j]!;
    const own = on.mix([odd, q], [even, square]);
    sums.unshift(sums.length === 0 ? own : on.product(square, sums[0]!, { add: own }));
  }
  return sums;
}

/** R of Q, from the second power on. @param to where it goes; absent: anywhere */
export function series<M>(on: Blocks<M>, q: M, coefficients: readonly number[], to?: M): M {
  const pairs = pairsOf(coefficients);
  const square = on.product(q, q);
  const [inner] = nested(on, q, square, pairs);
  const [odd, even] = pairs[0]!;
  const isWhole = inner === undefined;
  const first = on.mix([odd, q], [even, square], { hasUnit: true, to: isWhole ? to : undefined });
  return isWhole ? first : on.product(square, inner, { add: first, to });
}

/**
 * A matrix whose skew part S − Sᵀ is that of the gradient of Q, from G, the gradient of R. With G_0 = G and G_(j+1) = E G_j the gradients of what
 * E is multiplied by, those of Q and E beside each other are D = Σ c_(2j+1) G_j and F = Σ c_(2j+2) G_j + G_j (M_(j+1) + …)ᵀ. Of E = Q² there
 * is F Qᵀ + Qᵀ F more, which has the skew part of Qᵀ (F + Fᵀ).
 */
export function seriesGradient<M>(on: Blocks<M>, q: M, g: M, coefficients: readonly number[]): M {
  const pairs = pairsOf(coefficients);
  const square = on.product(q, q);
  const sums = nested(on, q, square, pairs);
  const gradients = [g];
  for (const _ of sums) gradients.push(on.product(square, gradients.at(-1)!));
  const weighed = (which: 0 | 1): M =>
    pairs
      .slice(2)
      .reduce(
        (sum, pair, j) => on.mix([1, sum], [pair[which], gradients[j + 2]!]),
        on.mix([pairs[0]![which], g], [pairs[1]?.[which] ?? 0, gradients[1] ?? g]),
      );
  const ofQ = weighed(0);
  const ofSquare = sums.reduce(
    (sum, inner, j) => on.product(gradients[j]!, inner, { add: sum, turned: 'y' }),
    weighed(1),
  );
  const both = on.mix([1, ofSquare], [1, ofSquare], { isTurned: true });
  return on.product(q, both, { add: ofQ, turned: 'x' });
}
