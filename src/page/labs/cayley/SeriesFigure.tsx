/** How far the series is from the exact rotation, by its number of terms: by the engine, and in float64. */
import { greatest, least, say } from '../../../common.ts';
import { anglesOf, type Both, distanceOf, TERMS, transposedOf } from '../../../labs.ts';
import { power, tenTo } from '../../format.ts';
import { rich } from '../../parts/rich.ts';
import { Sentences } from '../../parts/Sentences.tsx';
import { LabFigure } from '../LabFigure.tsx';
import { Plot } from '../Plot.tsx';
import { Term } from '../textbook/Glossary.tsx';
import { useShown } from '../useLab.ts';
import type { Turned } from './useCayley.ts';

/** Lower ends of the axis: the last that is below what is drawn. 32 bits hold nothing finer. */
const FLOORS = [1e-8, 1e-7, 1e-6, 1e-5, 1e-4, 1e-3, 1e-2, 0.1] as const;
/** Upper ends of the axis: the first that holds what is drawn. */
const CEILINGS = [1, 100, 1e4, 1e6, 1e8] as const;

/** The ends of the axis, so that what is drawn fills it. */
export function endsOf(errors: readonly number[]): { readonly floor: number; readonly ceiling: number } {
  const [low, high] = [least(errors), greatest(errors)];
  return {
    floor: FLOORS.findLast((end) => end <= low) ?? FLOORS[0],
    ceiling: CEILINGS.find((end) => end >= high) ?? CEILINGS.at(-1)!,
  };
}

const DECADES = Array.from({ length: 17 }, (_, i) => Number(`1e${i - 8}`));

/** Every power of ten, or every second one where they would stand too close. */
const ticksBetween = (floor: number, ceiling: number): number[] =>
  DECADES.filter(
    (tick) =>
      tick >= floor && tick <= ceiling && (ceiling / floor < 1e6 || Math.round(Math.log10(tick)) % 2 === 0),
  );

export function SeriesFigure({ b, skew, answer, terms }: Turned & { readonly terms: number }) {
  const errors = (side: keyof Both) =>
    answer.series.map((series) => distanceOf(series[side], transposedOf(answer.exact[side], b)));
  const [engine, reference] = [errors('engine'), errors('reference')];
  const at = TERMS.indexOf(terms);
  useShown({ series: engine[at]! });
  const { floor, ceiling } = endsOf([...engine, ...reference]);
  const isWithin = anglesOf(b, skew)[0]! < 90;
  const title = say`Distance of the series from the exact rotation`;
  const points = (values: readonly number[]) => TERMS.map((term, i) => [term, values[i]!] as const);
  return (
    <LabFigure
      id="series"
      title={title}
      sentence={
        <Sentences>
          {say`With ${terms} terms the series is ${power(engine[at]!)} from the exact rotation, transposed; in float64 ${power(reference[at]!)}.`}
          {isWithin
            ? say`The largest angle is below 90°, so more terms come closer, down to what 32 bits can hold.`
            : say`The largest angle is not below 90°, so the series does not come to the rotation, however many terms it has: the powers of Q do not fade.`}
        </Sentences>
      }
      how={rich`How each number was got: series and exact rotation by the op that trains OFT, once by the ${<Term of="engine" />} in 32 bits and once by its reference in float64. The distance is the root of the sum of squares of all entries of the difference, in float64.`}
      table={{
        head: [say`Terms`, say`By the engine`, say`In float64`],
        rows: TERMS.map((term, i) => [String(term), power(engine[i]!), power(reference[i]!)]),
      }}
    >
      <Plot
        label={title}
        x={{ title: say`terms`, isLog: false, low: 1.5, high: 12.5, ticks: TERMS, format: String }}
        y={{
          ...{ title: '', isLog: true, low: floor, high: ceiling },
          ticks: ticksBetween(floor, ceiling),
          format: tenTo,
        }}
        height={260}
        picked={[terms, engine[at]!]}
        lines={[
          {
            id: 'reference',
            name: say`in float64`,
            color: '--line-1',
            points: points(reference),
            dash: '5 4',
          },
          {
            ...{
              id: 'engine',
              name: say`by the engine, in 32 bits`,
              color: '--line-0',
              mark: 'circle',
              hasLine: false,
            },
            points: points(engine),
          },
        ]}
      />
    </LabFigure>
  );
}
