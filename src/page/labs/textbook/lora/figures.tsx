/** The pictures of the page of LoRA: the directions of a change, and the two thin matrices that have learnt it. */
import { say } from '../../../../common.ts';
import {
  distanceOf,
  FIT_STEPS,
  leftOfRank,
  numbersOf,
  rankOfShare,
  shareOfRank,
  UPDATE_SIZE,
  type UpdateTarget,
  updateTarget,
} from '../../../../labs.ts';
import { fixed, percent, power, real, whole } from '../../../format.ts';
import { rich } from '../../../parts/rich.ts';
import { Sentences } from '../../../parts/Sentences.tsx';
import { HeatMap } from '../../HeatMap.tsx';
import { LabFigure } from '../../LabFigure.tsx';
import { labWorker } from '../../labWorker.ts';
import { Plot } from '../../Plot.tsx';
import { Shown } from '../../useLab.ts';
import { entryRows, strength, TOLD } from '../entries.ts';
import { Term } from '../Glossary.tsx';
import { Pending } from '../Pending.tsx';
import { useAnswer } from '../useAnswer.ts';

const d = UPDATE_SIZE;
/** All changes of this page come from it. */
const SEED = 1;
/** Of a square, in pixels. */
const CELL = 6;
const MOST = 0.9;

const singular = new Map<UpdateTarget, Promise<readonly number[]>>();

/** The singular values of a change: asked once. */
function askSingular({ target }: { readonly target: UpdateTarget }): Promise<readonly number[]> {
  const known = singular.get(target);
  if (known !== undefined) return known;
  const asked = labWorker().singularOf(target, SEED);
  singular.set(target, asked);
  asked.catch(() => singular.delete(target));
  return asked;
}

export function DirectionsFigure({ target }: { readonly target: UpdateTarget }) {
  const directions = useAnswer({ target }, askSingular);
  return (
    <Pending of={directions}>
      {({ question, answer: values }) => {
        const entries = [...updateTarget(question.target, SEED)];
        const title = say`A change of ${d} × ${d} weights, and its directions`;
        const count = rankOfShare(values, MOST);
        return (
          <>
            <Shown of={{ directions: count }} />
            <LabFigure
              id="directions"
              title={title}
              sentence={
                count === 1
                  ? say`One direction of ${d} holds ${percent(shareOfRank(values, 1))} of this change.`
                  : say`The strongest ${count} of ${d} directions hold ${percent(shareOfRank(values, count))} of this change, by sums of squares; the strongest alone holds ${percent(shareOfRank(values, 1))}.`
              }
              how={rich`How each number was got: the entries come from a seed; the singular values and their shares of the sum of squares are worked out in ${<Term of="float64" />}. Told is how many directions hold ${percent(MOST)} at least.`}
              rowsInAll={values.length}
              table={{
                head: [say`Place`, say`Singular value`, say`Share up to here`],
                rows: values
                  .slice(0, TOLD)
                  .map((value, k) => [String(k + 1), real(value), percent(shareOfRank(values, k + 1))]),
              }}
            >
              <div className="lab-pictures">
                <HeatMap label={title} size={d} values={entries} full={strength(entries)} side={CELL * d} />
              </div>
              <Plot
                label={say`What the strongest directions hold of the change`}
                x={{
                  ...{ title: say`directions`, isLog: false, low: 0, high: d },
                  ...{ ticks: [0, 8, 16, 24, 32], format: String },
                }}
                y={{
                  ...{ title: say`share`, isLog: false, low: 0, high: 1 },
                  ...{ ticks: [0, 0.5, 1], format: percent },
                }}
                height={200}
                lines={[
                  {
                    ...{ id: 'share', name: say`share up to here`, color: '--line-1', mark: 'square' },
                    points: values.map((_, k) => [k + 1, shareOfRank(values, k + 1)] as const),
                  },
                ]}
              />
            </LabFigure>
          </>
        );
      }}
    </Pending>
  );
}

/** A and B that have learnt the change at this rank, what LoRA makes of them, and what any matrix of the rank leaves. */
async function askLearnt({ target, rank }: { readonly target: UpdateTarget; readonly rank: number }) {
  const worker = labWorker();
  const { A, B } = await worker.learnUpdate({ target, seed: SEED, rank, steps: FIT_STEPS });
  const sizes = { inputs: d, outputs: d, r: rank, alpha: rank };
  const { update } = await worker.lora({ ...sizes, W: new Array<number>(d * d).fill(0), A, B });
  return { A, B, update, singular: await askSingular({ target }) };
}

export function ProductFigure(asked: { readonly target: UpdateTarget; readonly rank: number }) {
  const learnt = useAnswer({ target: asked.target, rank: asked.rank }, askLearnt);
  return (
    <Pending of={learnt} waiting={say`A and B are being trained: ${FIT_STEPS} steps …`}>
      {({ question: { target, rank }, answer: { A, B, update, singular } }) => {
        const entries = [...updateTarget(target, SEED)];
        const left = entries.map((value, at) => value - update.engine[at]!);
        const shareLeft = Math.hypot(...left) / Math.hypot(...entries);
        const full = strength(entries);
        const pictures = [
          { name: 'B', values: B, columns: rank, most: strength(B) },
          { name: 'A', values: A, columns: d, most: strength(A) },
          { name: 'B A', values: update.engine, columns: d, most: full },
          { name: say`what is left`, values: left, columns: d, most: full },
        ];
        return (
          <>
            <Shown of={{ left: shareLeft, least: leftOfRank(singular, rank) }} />
            <LabFigure
              id="product"
              title={say`Two thin matrices and their product`}
              sentence={
                <Sentences>
                  {say`At rank ${rank}, ${whole(numbersOf(rank))} numbers make ${whole(d * d)} entries, and leave ${fixed(shareLeft, 3)} of the size of the change. No matrix of that rank leaves less than ${fixed(leftOfRank(singular, rank), 3)}.`}
                  {say`Computed in 32 bits; the same in float64 differs by ${power(distanceOf(update.engine, update.reference))}.`}
                </Sentences>
              }
              how={say`How each number was got: A and B trained in this tab for ${FIT_STEPS} steps, with the optimiser of a run. Their product is by the graph with which LoRA trains and merges, in 32 bits, and beside it in float64, with α equal to r. The least that can be left is the root of the squares of the singular values beyond the rank (Eckart and Young).`}
              rowsInAll={d * d}
              table={{
                head: [say`Row`, say`Column`, say`the change`, 'B A'],
                rows: entryRows(entries, update.engine),
              }}
            >
              <div className="lab-pictures">
                {pictures.map(({ name, values, columns, most }) => (
                  <figure key={name}>
                    <HeatMap label={name} size={columns} values={values} full={most} side={CELL * columns} />
                    <figcaption>{name}</figcaption>
                  </figure>
                ))}
              </div>
            </LabFigure>
          </>
        );
      }}
    </Pending>
  );
}
