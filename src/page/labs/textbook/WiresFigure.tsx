/** A product of butterfly factors as it is wired and as it turns out: the graph of information transmission, and the rotation that the engine makes of seeded numbers. */
import { rng, say } from '../../../common.ts';
import { freeNumbers, trianglesOf } from '../../../labs.ts';
import { percent, subscript } from '../../format.ts';
import { Sentences } from '../../parts/Sentences.tsx';
import { HeatMap } from '../HeatMap.tsx';
import { LabFigure } from '../LabFigure.tsx';
import { labWorker } from '../labWorker.ts';
import { useShown } from '../useLab.ts';
import { Pending } from './Pending.tsx';
import { useAnswer } from './useAnswer.ts';
import { WireGraph } from './WireGraph.tsx';
import { countOf, nodesText, patternAt, reachedFrom, wiresOf } from './wires.ts';

/** Skew numbers for a picture: the same for the same seed. */
export function skewOf(d: number, b: number, m: number, seed: number, size: number): number[] {
  const random = rng(seed, 21);
  return Array.from({ length: freeNumbers(d, { m, b }) }, () => size * random.normal());
}

export interface Turn {
  readonly d: number;
  readonly b: number;
  readonly m: number;
  readonly skew: readonly number[];
  readonly vectors: readonly number[];
}

export const askTurn = (turn: Turn) => labWorker().turn(turn);

const SEED = 1;

export function WiresFigure(props: {
  readonly id: string;
  /** Of the page, for how many outputs the input reaches. */
  readonly quantity: string;
  readonly title: string;
  readonly d: number;
  readonly b: number;
  readonly m: number;
  /** From 1 on. */
  readonly input: number;
  /** Whether each factor has a picture of its own. */
  readonly hasFactors?: boolean;
}) {
  const { id, quantity, title, d, b, m, input, hasFactors = false } = props;
  const wires = wiresOf(d, b, m);
  const vector = Array.from({ length: d }, (_, i) => (i === input - 1 ? 1 : 0));
  const turn = useAnswer({ d, b, m, skew: skewOf(d, b, m, SEED, 0.6), vectors: vector }, askTurn);
  const lit = reachedFrom(wires, input - 1);
  const reached = lit.at(-1)!;
  useShown({ [quantity]: countOf(reached) });
  return (
    <Pending of={turn}>
      {({ question, answer }) => {
        const { engine } = answer.rotation;
        const filled = countOf(engine);
        const isNow = question.b === b && question.m === m && question.d === d;
        return (
          <LabFigure
            {...{ id, title, isDone: isNow }}
            sentence={
              <Sentences>
                {say`Input ${input} reaches outputs ${nodesText(reached)}: ${countOf(reached)} of ${d}.`}
                {say`${filled} of ${d * d} entries of R differ from zero, ${percent(filled / (d * d))}, made of ${freeNumbers(d, { m, b })} free numbers; a rotation of all ${d} inputs has ${trianglesOf(d)}.`}
              </Sentences>
            }
            how={say`How each number was got: the wires follow from the method’s own pattern; R is what the ops that train OFT and BOFT make of seeded random numbers, in 32 bits, and its entries that differ from zero are counted.`}
            table={{
              head: [say`Column`, say`Nodes that input ${input} reaches`, say`How many`],
              rows: lit.map((column, k) => [
                k === 0 ? say`before the first factor` : say`after B${subscript(k - 1)}`,
                nodesText(column),
                String(countOf(column)),
              ]),
            }}
          >
            {hasFactors ? (
              <>
                <p className="hint lab-strip-name">{say`The factors, in the order in which they act:`}</p>
                <div className="lab-pictures lab-strip">
                  {wires.factors.map((_, k) => (
                    // biome-ignore lint/suspicious/noArrayIndexKey: a factor is its number.
                    <figure key={k}>
                      <HeatMap label={say`Factor ${k}`} size={d} values={patternAt(wires, k)} full={1.6} />
                      <figcaption>{`B${subscript(k)}`}</figcaption>
                    </figure>
                  ))}
                </div>
                <p className="hint lab-strip-name">{say`One after the other, and what they come to:`}</p>
              </>
            ) : null}
            <div className="lab-pictures">
              <WireGraph
                label={say`${m + 1} columns of ${d} nodes; lit is what input ${input} reaches.`}
                wires={wires}
                input={input - 1}
              />
              <figure>
                <HeatMap label={say`The rotation R`} size={d} values={engine} full={1} />
                <figcaption>R</figcaption>
              </figure>
            </div>
          </LabFigure>
        );
      }}
    </Pending>
  );
}
