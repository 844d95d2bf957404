/** The pictures of the page of FourierFT: a change of the weights, one wave and the spectrum, the frequencies that are chosen, and what they bring back. */
import { say } from '../../../../common.ts';
import { distanceOf, UPDATE_SIZE } from '../../../../labs.ts';
import { fixed, hundredths, percent, power, real, whole } from '../../../format.ts';
import { rich } from '../../../parts/rich.ts';
import { Sentences } from '../../../parts/Sentences.tsx';
import { centred, onMap, signed } from '../../fourier/SpectrumFigure.tsx';
import { HeatMap } from '../../HeatMap.tsx';
import { LabFigure } from '../../LabFigure.tsx';
import { labWorker } from '../../labWorker.ts';
import { Shown, useShown } from '../../useLab.ts';
import { entryRows, strength, TOLD } from '../entries.ts';
import { Term } from '../Glossary.tsx';
import { Pending } from '../Pending.tsx';
import { useAnswer } from '../useAnswer.ts';
import { type Change, type Chosen, heightsOfAll, likeness, strongestOf, wavesOfHalf } from './change.ts';

const d = UPDATE_SIZE;

/** A share of the change that leaves only rounding out. */
const ALL_BUT_ROUNDING = 1 - 1e-9;

const askInverse = (question: { d: number; places: readonly number[]; coefficients: readonly number[] }) =>
  labWorker().inverse(question);

const frequency = (at: number): string =>
  `(${signed(Math.floor(at / d))}, ${signed(at % d)})`.replaceAll('-', '−');

export function ChangeFigure({ change }: { readonly change: Change }) {
  const entries = [...Array.from(change.entries)];
  const alike = likeness(change);
  useShown({ likeness: alike });
  const title = say`A change of ${d} × ${d} weights`;
  return (
    <LabFigure
      id="change"
      title={title}
      sentence={say`${whole(d * d)} entries, blue below zero and orange above. How alike neighbours are: ${hundredths(alike)}, where 1 is the same and 0 is nothing in common.`}
      how={rich`How each number was got: the entries come from a seed, in ${<Term of="float64" />}; the likeness is the mean product of entries beside and below each other, over the mean square.`}
      rowsInAll={d * d}
      table={{
        head: [say`Row`, say`Column`, say`Entry`],
        rows: entryRows(entries),
      }}
    >
      <div className="lab-pictures">
        <HeatMap label={title} size={d} values={entries} full={strength(entries)} side={260} />
      </div>
    </LabFigure>
  );
}

export function WaveFigure(props: { readonly change: Change; readonly u: number; readonly v: number }) {
  const { change, u, v } = props;
  const at = (u % d) * d + (v % d);
  const wave = useAnswer({ d, places: [at], coefficients: [1] }, askInverse);
  const heights = heightsOfAll(change);
  const half = wavesOfHalf(change);
  useShown({ height: heights[at]! });
  const different = strongestOf(change, d * d);
  const strongest = different.slice(0, TOLD).map((place) => ({ place, height: heights[place]! }));
  return (
    <Pending of={wave}>
      {({ answer }) => (
        <LabFigure
          id="wave"
          title={say`One wave, and how much of each is in the change`}
          sentence={
            <Sentences>
              {say`The wave ${frequency(at)} has the height ${real(heights[at]!)} in this change; the highest is ${frequency(strongest[0]!.place)} with ${real(strongest[0]!.height)}.`}
              {half.cosines > ALL_BUT_ROUNDING
                ? say`All of the change is in cosines, half of it in ${half.count} of them.`
                : say`${percent(half.cosines)} of the change is in cosines, half of that in ${half.count} of them. The rest is in sines: FourierFT takes the real part of what the inverse transform gives, and of a real coefficient that is a cosine.`}
            </Sentences>
          }
          how={say`How each number was got: the wave by the inverse transform that trains FourierFT, with one coefficient, in 32 bits; the spectrum is the discrete Fourier transform of the change in float64. Frequency zero is in the middle; the dot is the wave that is shown.`}
          rowsInAll={different.length}
          table={{
            head: [say`Frequency`, say`Height`],
            rows: strongest.map(({ place, height }) => [frequency(place), real(height)]),
          }}
        >
          <div className="lab-pictures">
            <figure>
              <HeatMap
                label={say`The wave ${frequency(at)}`}
                size={d}
                values={answer.engine}
                full={1}
                side={220}
              />
              <figcaption>{say`one wave`}</figcaption>
            </figure>
            <figure className="sym-u">
              <HeatMap
                label={say`The spectrum of the change`}
                size={d}
                values={centred(heights)}
                full={strength(heights)}
                side={220}
                marks={[onMap(at)]}
              />
              <figcaption>{say`spectrum`}</figcaption>
            </figure>
          </div>
        </LabFigure>
      )}
    </Pending>
  );
}

export function ChosenFigure({ chosen }: { readonly chosen: Chosen }) {
  const { places, coefficients, share } = chosen;
  useShown({ share });
  const heights = new Array<number>(d * d).fill(0);
  places.forEach((at, k) => {
    heights[at] = coefficients[k]!;
  });
  return (
    <LabFigure
      id="chosen"
      title={say`The frequencies that are trained`}
      sentence={
        places.length === 1
          ? say`One frequency of ${whole(d * d)}, which holds ${percent(share)} of the change.`
          : say`${places.length} frequencies of ${whole(d * d)}, which hold ${percent(share)} of the change.`
      }
      how={say`How each number was got: drawn frequencies are those that PEFT draws from the seed. The colour is the coefficient with which a wave comes nearest to the change, in float64; the share is of the sum of squares.`}
      rowsInAll={places.length}
      table={{
        head: [say`Frequency`, say`Coefficient`],
        rows: places.slice(0, TOLD).map((at, k) => [frequency(at), real(coefficients[k]!)]),
      }}
    >
      <div className="lab-pictures">
        <figure className="sym-u">
          <HeatMap
            label={say`The frequencies that are trained`}
            size={d}
            values={centred(heights)}
            full={strength(coefficients)}
            side={260}
            marks={places.map(onMap)}
          />
        </figure>
      </div>
    </LabFigure>
  );
}

export function InverseFigure({ change, chosen }: { readonly change: Change; readonly chosen: Chosen }) {
  const { places, coefficients } = chosen;
  const inverse = useAnswer({ d, places, coefficients }, askInverse);
  const entries = Array.from(change.entries);
  const full = strength(entries);
  const size = Math.sqrt(change.energy);
  return (
    <Pending of={inverse}>
      {({ question, answer }) => {
        const left = answer.engine.map((value, at) => entries[at]! - value);
        const count = question.places.length;
        const shareLeft = Math.hypot(...left) / size;
        const pictures = [
          { name: say`the change`, values: entries },
          { name: say`the sum of the waves`, values: answer.engine },
          { name: say`what is left`, values: left },
        ];
        return (
          <>
            <Shown of={{ left: shareLeft }} />
            <LabFigure
              id="inverse"
              title={say`Back by the inverse transform`}
              sentence={
                <Sentences>
                  {count === 1
                    ? say`One coefficient makes ${whole(d * d)} entries, and leaves ${fixed(shareLeft, 3)} of the size of the change.`
                    : say`${count} coefficients make ${whole(d * d)} entries, and leave ${fixed(shareLeft, 3)} of the size of the change.`}
                  {say`No other coefficients at these frequencies leave less. Computed in 32 bits; the same in float64 differs by ${power(distanceOf(answer.engine, answer.reference))}.`}
                </Sentences>
              }
              how={say`How each number was got: the sum of the waves by the inverse transform that trains FourierFT, in 32 bits, and in float64 by its reference. Each coefficient is worked out by itself, since different cosines have nothing in common.`}
              rowsInAll={d * d}
              table={{
                head: [say`Row`, say`Column`, say`the change`, say`the sum of the waves`],
                rows: entryRows(entries, answer.engine),
              }}
            >
              <div className="lab-pictures">
                {pictures.map(({ name, values }) => (
                  <figure key={name}>
                    <HeatMap label={name} size={d} values={values} full={full} side={200} />
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
