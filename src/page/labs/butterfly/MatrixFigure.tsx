/** The target, the fit of the shape that is picked, and what is left between them. */
import { greatest, say } from '../../../common.ts';
import { type FitShape, freeNumbers } from '../../../labs.ts';
import { real } from '../../format.ts';
import { rich } from '../../parts/rich.ts';
import { HeatMap } from '../HeatMap.tsx';
import { LabFigure } from '../LabFigure.tsx';
import { Term } from '../textbook/Glossary.tsx';
import { errorText, shapeText } from './ErrorFigure.tsx';
import type { Fits } from './fits.ts';

/** Rows of the table: entries of the first row of the matrix, which say enough. */
const TOLD = 8;

export function MatrixFigure({ fits }: { readonly fits: Fits }) {
  const { facts, answer } = fits;
  const { d } = fits.wanted;
  const { part, target, fitted } = fits.picked[0]!;
  const picked = facts[part]!;
  const left = fitted.map((value, at) => value - target[at]!);
  const full = greatest(target.map(Math.abs));
  const error = answer.best[part]!;
  const title = say`Target and fit with ${shapeText(picked)}`;
  const pictures = [
    { name: say`target`, values: target },
    { name: say`fit`, values: fitted },
    { name: say`what is left`, values: left },
  ];
  return (
    <LabFigure
      id="matrices"
      title={title}
      sentence={say`With ${freeNumbers(d, picked)} free numbers what is left is ${errorText({ ...picked, numbers: 0, error })} of the size of the target; each output is reached by ${reachOf(d, picked)} of ${d} inputs.`}
      how={rich`How each number was got: the target is computed in ${<Term of="float64" />}; the fit is what the engine’s ops make of the numbers of the best start, in 32 bits. What is reached is counted from m and b.`}
      rowsInAll={target.length}
      table={{
        head: [say`Row`, say`Column`, say`target`, say`fit`],
        rows: Array.from({ length: TOLD }, (_, at) => [
          '1',
          String(at + 1),
          real(target[at]!),
          real(fitted[at]!),
        ]),
      }}
    >
      <div className="lab-pictures">
        {pictures.map(({ name, values }) => (
          <figure key={name}>
            <HeatMap label={name} size={d} values={values} full={full} />
            <figcaption>{name}</figcaption>
          </figure>
        ))}
      </div>
    </LabFigure>
  );
}

/** Each further factor doubles how many inputs mix. */
const reachOf = (d: number, { m, b }: FitShape): number => Math.min(d, b * 2 ** (m - 1));
