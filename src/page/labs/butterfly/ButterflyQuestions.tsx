/** The questions of the butterfly lab; what is said to an answer comes from the fits on screen. */
import { say } from '../../../common.ts';
import { FIT_STEPS } from '../../../labs.ts';
import { useHeld } from '../../parts/held.tsx';
import { numberIn, Question, type Reply } from '../Question.tsx';
import { errorText, shapeText } from './ErrorFigure.tsx';
import { type Fits, isExact, mostTelling, rowsOf } from './fits.ts';

const INPUTS = 16;
const NEEDED = Math.log2(INPUTS);

const checkFactors =
  (fits: Fits | null) =>
  (answer: string): Reply => {
    const m = numberIn(answer);
    if (!Number.isInteger(m) || m < 1) return { isRight: false, say: say`That is no number of factors.` };
    const rows = fits === null ? [] : rowsOf(fits.wanted.d, fits.facts, fits.answer.best);
    const isMeasured =
      fits?.wanted.target === 'hadamard' && fits.wanted.d === INPUTS && fits.answer.step >= FIT_STEPS;
    const row = isMeasured ? rows.find((one) => one.b === 2 && one.m === m) : undefined;
    if (m === NEEDED)
      return {
        isRight: true,
        say: row
          ? say`2 · 2 · 2 · 2 = 16: only now does every input reach every output. Measured here: ${errorText(row)}.`
          : say`2 · 2 · 2 · 2 = 16: only now does every input reach every output.`,
      };
    if (row && !isExact(row))
      return {
        isRight: false,
        say: say`With ${shapeText(row)} the fit on screen stays ${errorText(row)} away.`,
      };
    return m < NEEDED
      ? {
          isRight: false,
          say: say`With ${m} factors an output is reached by ${2 ** m} of 16 inputs. Take Hadamard and 16 inputs, and follow the line of blocks of 2.`,
        }
      : {
          isRight: false,
          say: say`Fewer are enough. Take Hadamard and 16 inputs, and follow the line of blocks of 2.`,
        };
  };

const isWholeRandom = (fits: Fits | null): fits is Fits =>
  fits !== null && fits.wanted.target === 'random' && fits.answer.step >= FIT_STEPS;

const pairOf = ({ wanted, facts, answer }: Fits) =>
  mostTelling(rowsOf(wanted.d, facts, answer.best), wanted.d);

/** Names the two: a block as large as all inputs would come closer than either. */
function askNearer(fits: Fits | null): string {
  const pair = fits === null ? null : pairOf(fits);
  return pair === null
    ? say`A random rotation, small blocks along the diagonal, and a butterfly of no more numbers: which comes closer?`
    : say`A random rotation of ${fits!.wanted.d} inputs: blocks of ${pair.block.b} with ${pair.block.numbers} numbers, or the butterfly with ${shapeText(pair.butterfly)} and ${pair.butterfly.numbers} numbers: which comes closer?`;
}

/** @param fits of a random rotation: those on screen, or the last that were there */
const checkNearer =
  (fits: Fits | null) =>
  (answer: string): Reply => {
    if (fits === null)
      return { isRight: null, say: say`Take the random rotation first, and wait for the last step.` };
    const pair = pairOf(fits);
    if (pair === null)
      return { isRight: null, say: say`Take 16 inputs or more: 8 have too few shapes to compare.` };
    const { block, butterfly } = pair;
    const nearer = butterfly.error < block.error ? 'butterfly' : 'blocks';
    return {
      isRight: answer === nearer,
      say: say`A random rotation of ${fits.wanted.d} inputs, fitted here: ${butterfly.numbers} numbers and ${errorText(butterfly)} for the butterfly with ${shapeText(butterfly)}, ${block.numbers} numbers and ${errorText(block)} for blocks of ${block.b}.`,
    };
  };

export function ButterflyQuestions({ fits }: { readonly fits: Fits | null }) {
  // Whoever has gone on to another target has seen them all the same.
  const [random] = useHeld<{ current: Fits | null }>('random', () => ({ current: null }));
  if (isWholeRandom(fits)) random.current = fits;
  return (
    <section aria-label={say`Questions`}>
      <h2>{say`Questions`}</h2>
      <Question
        id="factors"
        ask={say`How many factors with blocks of 2 does the Hadamard matrix of 16 inputs need?`}
        check={checkFactors(fits)}
      />
      <Question
        id="nearer"
        ask={askNearer(random.current)}
        about={JSON.stringify(random.current?.wanted ?? null)}
        options={[
          { id: 'blocks', title: say`The block-diagonal rotation` },
          { id: 'butterfly', title: say`The butterfly` },
        ]}
        check={checkNearer(random.current)}
      />
    </section>
  );
}
