/** The rotation as it is: the plane before and after, its matrix, and how far from a rotation the engine's numbers are. */
import { say } from '../../../common.ts';
import { anglesOf, distanceOf, offOrthogonal } from '../../../labs.ts';
import { fixed, power, real } from '../../format.ts';
import { rich } from '../../parts/rich.ts';
import { Sentences } from '../../parts/Sentences.tsx';
import { deviceName } from '../deviceName.ts';
import { LabFigure } from '../LabFigure.tsx';
import { MatrixGrid } from '../MatrixGrid.tsx';
import { Term } from '../textbook/Glossary.tsx';
import { useShown } from '../useLab.ts';
import { Plane } from './Plane.tsx';
import type { Turned } from './useCayley.ts';

/** The skew matrix of a packed triangle, row by row. */
function skewMatrix(b: number, skew: readonly number[]): number[] {
  const out = new Array<number>(b * b).fill(0);
  let next = 0;
  for (let row = 0; row < b; row++)
    for (let column = row + 1; column < b; column++) {
      out[row * b + column] = skew[next]!;
      out[column * b + row] = -skew[next++]!;
    }
  return out;
}

/** A difference; there may be none at all. */
const small = (value: number): string => (value === 0 ? '0' : power(value));

export function RotationFigure({ b, skew, answer, device }: Turned) {
  const { engine, reference } = answer.exact;
  const turns = anglesOf(b, skew);
  const angles = turns.map((angle) => fixed(angle, 1));
  const off = offOrthogonal(engine, b);
  const apart = distanceOf(engine, reference);
  useShown({ angle: turns[0]!, off, apart });
  const turn =
    angles.length === 1
      ? say`These numbers turn one plane by ${angles[0]!}°.`
      : say`These numbers turn one plane by ${angles[0]!}° and another by ${angles[1]!}°.`;
  const title = say`The rotation`;
  return (
    <LabFigure
      id="rotation"
      title={title}
      sentence={
        <Sentences>
          {turn}
          {b > 2
            ? say`Arrow k is where the axis of input k points to, seen on the plane of the first two: the shorter it is, the more it points out of that plane.`
            : say`Arrow k is where the axis of input k points to.`}
          {say`RᵀR differs from I by ${small(off)} in all, and R from the one in float64 by ${small(apart)}.`}
          <span className="hint">{say`Computed by ${deviceName(device)}.`}</span>
        </Sentences>
      }
      how={rich`How each number was got: R by the Cayley ${<Term of="operator" />} that trains OFT and BOFT, in 32 bits; beside it the same op’s reference in ${<Term of="float64" />}. Distances are roots of sums of squares of all entries, in float64; angles follow from the entries of Q.`}
      table={{
        head: [say`Row`, say`Column`, say`R, by the engine`, say`R, in float64`],
        rows: engine.map((value, at) => [
          String(Math.floor(at / b) + 1),
          String((at % b) + 1),
          real(value),
          real(reference[at]!),
        ]),
      }}
    >
      <div className="lab-pictures">
        <Plane label={turn} b={b} r={engine} />
        <div className="lab-matrices">
          <figure>
            <MatrixGrid label={say`The skew matrix Q`} size={b} values={skewMatrix(b, skew)} symbol="Q" />
            <figcaption>Q</figcaption>
          </figure>
          <figure>
            <MatrixGrid label={say`The rotation R`} size={b} values={engine} symbol="R" />
            <figcaption>R</figcaption>
          </figure>
        </div>
      </div>
    </LabFigure>
  );
}
