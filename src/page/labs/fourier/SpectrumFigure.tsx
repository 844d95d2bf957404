/** The target's spectrum, cosines beside sines, with the frequencies that FourierFT trains. */
import { greatest, say } from '../../../common.ts';
import { numbersOf, pieceAt, UPDATE_SIZE, type Way } from '../../../labs.ts';
import { percent, real } from '../../format.ts';
import { HeatMap } from '../HeatMap.tsx';
import { LabFigure } from '../LabFigure.tsx';
import { useShown } from '../useLab.ts';
import { type Fits, wayName } from './fits.ts';

const d = UPDATE_SIZE;
/** Rows of the table: the strongest waves. */
const TOLD = 10;

/** A frequency as people read it: d − 1 is −1. */
export const signed = (k: number): number => (k < d / 2 ? k : k - d);

/** Where a frequency lies on the map, with zero in the middle. */
export const onMap = (at: number): number =>
  (signed(Math.floor(at / d)) + d / 2) * d + signed(at % d) + d / 2;

const mirrored = (at: number): number => ((d - Math.floor(at / d)) % d) * d + ((d - (at % d)) % d);

export const centred = (values: readonly number[]): number[] => {
  const out = new Array<number>(d * d).fill(0);
  values.forEach((value, at) => {
    out[onMap(at)] = value;
  });
  return out;
};

const squares = (values: readonly number[]): number => values.reduce((sum, value) => sum + value * value, 0);

export function SpectrumFigure(props: { readonly fits: Fits; readonly rank: number; readonly way: Way }) {
  const { rank, way } = props;
  const { cosines, sines, places, floors } = props.fits.facts;
  const piece = pieceAt({ method: way, rank });
  const chosen = new Set(places[piece]!.flatMap((at) => [at, mirrored(at)]));
  const trained = [...chosen].filter((at) => at <= mirrored(at)).length;
  const [even, odd] = [squares(cosines), squares(sines)];
  useShown({ cosines: even / (even + odd) });
  const full = greatest([...cosines, ...sines].map(Math.abs));
  const marks = [...chosen].map(onMap);
  const title = say`The target’s waves, and those that FourierFT trains`;
  const told = cosines
    .map((cosine, at) => ({ at, cosine, sine: sines[at]! }))
    .filter(({ at }) => at <= mirrored(at));
  const strongest = told
    .toSorted((a, b) => b.cosine ** 2 + b.sine ** 2 - a.cosine ** 2 - a.sine ** 2)
    .slice(0, TOLD);
  const pictures = [
    { name: say`cosines`, values: cosines, marks },
    { name: say`sines, out of reach`, values: sines, marks: [] },
  ];
  return (
    <LabFigure
      id="spectrum"
      title={title}
      sentence={say`${percent(even / (even + odd))} of the target is in cosines, ${percent(odd / (even + odd))} in sines. ${wayName(way)}: ${numbersOf(rank)} coefficients make ${trained} different waves, which hold ${percent(1 - floors[piece]! ** 2)} of the target.`}
      how={say`How each number was got: the target’s discrete Fourier transform in float64. The shares are of the sum of squares of its entries. Frequency zero is in the middle; a dot is a wave that is trained, shown at both of its places.`}
      rowsInAll={told.length}
      table={{
        head: ['u', 'v', say`cosine`, say`sine`, say`trained`],
        rows: strongest.map(({ at, cosine, sine }) => [
          ...[String(signed(Math.floor(at / d))), String(signed(at % d))],
          ...[real(cosine / (d * d)), real(sine / (d * d)), chosen.has(at) ? say`yes` : say`no`],
        ]),
      }}
    >
      <div className="lab-pictures">
        {pictures.map(({ name, values, marks: dots }) => (
          <figure key={name} className="sym-u">
            <HeatMap label={name} size={d} values={centred(values)} full={full} side={260} marks={dots} />
            <figcaption>{name}</figcaption>
          </figure>
        ))}
      </div>
    </LabFigure>
  );
}
