/** What is said of the shader lab's kernels: names, sizes, what each part of a text does, and what each breakage changes. */
import { mark, say } from '../../../common.ts';
import type { KernelName } from '../../../labs.ts';

export const kernelTitle = (name: string): string =>
  ({
    cayley: say`Cayley transform`,
    butterfly: say`Butterfly`,
    idft: say`Sparse inverse DFT`,
  })[name] ?? name;

/** The sizes of a case as its title. */
export function sizeTitle(name: KernelName, sizes: Readonly<Record<string, number>>): string {
  if (name === 'cayley') return say`${sizes.n!} blocks of ${sizes.b!} × ${sizes.b!}`;
  if (name === 'butterfly') return say`${sizes.d!} inputs, blocks of ${sizes.b!}, factors: ${sizes.m!}`;
  return say`${sizes.p!} × ${sizes.q!}, ${sizes.n!} coefficients`;
}

const [q, neg, I, P, Q, R] = [mark('q'), mark('neg', '-q'), mark('I'), mark('P'), mark('Q'), mark('R')];
const [IN, OUT] = ['d_{\\text{in}}', 'd_{\\text{out}}'];
const SKEW = `${Q}_{ij} = \\begin{cases} ${q} & i < j \\\\ 0 & i = j \\\\ ${neg} & i > j \\end{cases}`;
const [x, B, y] = [mark('x'), mark('B'), mark('y')];
const SCALE = `\\tfrac{\\alpha}{${OUT}\\,${IN}}`;
const [A, Sines] = [mark('cosines', 'A'), mark('sines', 'B')];
const LATER = `p,\\,\\frac{1}{2}${IN}-q`;
const wave = (fn: string) =>
  `${mark('w', `\\${fn}`)}\\tfrac{2\\pi{p}\\,u_k}{${OUT}}\\,${mark('w', `\\${fn}`)}\\tfrac{2\\pi{q}\\,v_k}{${IN}}`;

/** The kernels' formulas, a line each. */
export const FORMULAS: Readonly<Record<KernelName, readonly string[]>> = {
  cayley: [SKEW, `${P} = (${I} + ${Q})^{-1}`, `${R} = 2${P} - ${I} = (I - Q)(I + Q)^{-1}`],
  butterfly: [
    `${y} = ${x}\\,${B}_{${mark('m', 'm-1')}} \\cdots\\,${B}_1\\,${B}_0`,
    `(${x}\\,${B}_f)_j = ${mark('sum', '\\sum_{e}')}\\,${x}_{${mark('k', 'k(c, e)')}}\\,${B}_{f,${mark('c', 'c')}}[e, j]`,
  ],
  idft: [
    `${A} = \\sum_k ${mark('s', 's_k')}\\,${wave('cos')}, \\qquad ${Sines} = \\sum_k ${mark('s', 's_k')}\\,${wave('sin')}`,
    `${mark('less', `\\Delta{W}_{p,q} = ${SCALE}\\,(A - B)`)}, \\qquad ${mark('more', `\\Delta{W}_{-p,q} = ${SCALE}\\,(A + B)`)}`,
    `${mark('half', `A_{${LATER}} = A^{2\\,\\mid\\,v} - A^{2\\,\\nmid\\,v}`)}, \\qquad ${mark('half', `B_{${LATER}} = B^{2\\,\\nmid\\,v} - B^{2\\,\\mid\\,v}`)}`,
  ],
};

/** What is set in a formula where the text is run, if anything. */
export const formulasNote = (name: KernelName): string | null =>
  name === 'idft' ? say`The scaling α is set so that the factor in front is 1 here.` : null;

/** What the lines of a part do, by kernel and symbol. */
export function partSays(name: KernelName, symbol: string): string {
  const sentences: Readonly<Record<KernelName, Readonly<Record<string, string>>>> = {
    cayley: {
      q: say`Above the diagonal of Q stand the free numbers, row by row.`,
      neg: say`Below the diagonal stands the same number with the other sign.`,
      R: say`The rotation is written: twice P, less one on the diagonal.`,
      I: say`The identity: one on the diagonal, zero elsewhere.`,
      Q: say`I + Q is put together, entry by entry.`,
      P: say`I + Q is turned into its inverse P, column by column.`,
    },
    butterfly: {
      x: say`Where four rows of x begin.`,
      B: say`Where the block of the factor lies, and the step from one of its rows to the next.`,
      y: say`The sums are written to the rows of the result.`,
      sum: say`The sum over the inputs of a block: each times its entry of the block.`,
      k: say`Where input e of block c stands in the row: the wires of the butterfly.`,
      c: say`Which block a place of the row belongs to, and which of its entries it is.`,
      m: say`How far apart the halves are that a factor joins: twice as far with each factor.`,
    },
    idft: {
      s: say`A coefficient, and where it stands.`,
      more: say`At a place with one side mirrored the sines count the other way round: A + B.`,
      less: say`At a place itself, and with both sides mirrored: A − B.`,
      cosines: say`The sums of products of cosines.`,
      sines: say`The sums of products of sines.`,
      w: say`Cosines and sines, looked up by whole parts of a turn.`,
      half: say`Half of an even side less q needs no waves of its own: sums over even frequencies v are the same there or the opposite, those over odd ones the other way round.`,
    },
  };
  return sentences[name][symbol] ?? '';
}

/** What a prepared breakage changes. */
export function breakageTitle(name: KernelName, id: string): string {
  const titles: Readonly<Record<KernelName, Readonly<Record<string, string>>>> = {
    cayley: {
      '1': say`the sign below the diagonal`,
      '2': say`the sign of the identity`,
      '3': say`the sign of the pivot`,
    },
    butterfly: {
      '1': say`the sign of the sum`,
      '2': say`the sign in the wires`,
      '3': say`one input less in each sum`,
    },
    idft: {
      '1': say`the sign of the sines`,
      '2': say`the sign of the sines, mirrored`,
      '3': say`the sign half a side on`,
    },
  };
  return titles[name][id] ?? say`nothing`;
}

/** What to see when it is broken so. */
export function breakageShows(name: KernelName, id: string): string {
  const shows: Readonly<Record<KernelName, Readonly<Record<string, string>>>> = {
    cayley: {
      '1': say`Q is no longer skew, and R is no rotation: every cell is wrong.`,
      '2': say`Only the diagonal is wrong, by two. Blocks of 11 stay right: other lines are run for them.`,
      '3': say`Most cells are wrong, though one line is: each column of the inverse is made of those before it. Blocks of 11 stay right.`,
    },
    butterfly: {
      '1': say`Every factor turns the sign round. Look at all three sizes before you answer the question below.`,
      '2': say`With one factor there are no wires, so the first size stays right.`,
      '3': say`Every sum lacks its last product: all cells of all sizes are wrong.`,
    },
    idft: {
      '1': say`The places where both sides are in their lower halves are wrong, and those with both mirrored. In the first row and column the sines are zero, so these stay right.`,
      '2': say`It is the other way round: the places with one side mirrored are wrong.`,
      '3': say`Only the size with an even shorter side has such places.`,
    },
  };
  return shows[name][id] ?? '';
}
