/** The butterfly lab: the same rotation fitted by block-diagonal blocks and by butterfly factors of as many numbers. */
import { mark, say } from '../../../common.ts';
import { mostFactors, shapesOf, type TargetName } from '../../../labs.ts';
import { Formula, Sym } from '../../parts/Formula.tsx';
import { rich } from '../../parts/rich.ts';
import { FitButtons } from '../FitButtons.tsx';
import { LabControl } from '../LabControl.tsx';
import { Step, TryThis } from '../LabText.tsx';
import { Term } from '../textbook/Glossary.tsx';
import { useFit } from '../useFit.ts';
import { useLab } from '../useLab.ts';
import { ButterflyQuestions } from './ButterflyQuestions.tsx';
import { ErrorFigure } from './ErrorFigure.tsx';
import { BUTTERFLY_FITS, indexOfShape } from './fits.ts';
import { MatrixFigure } from './MatrixFigure.tsx';

const [R, d, b, m] = [mark('R'), mark('d'), mark('b'), mark('m')];
const BLOCKS = `${R} = \\operatorname{diag}(R_1, \\dots,\\,R_{${d}/${b}})`;
const BLOCK_COUNT = `\\tfrac{1}{2}\\,${d}\\,(${b}-1)`;
const FACTORS = `${R} = B_{${m}-1} \\cdots\\,B_1\\,B_0`;
const FACTOR_COUNT = `\\tfrac{1}{2}\\,${m}\\,${d}\\,(${b}-1)`;

/** What the targets are called. */
const titleOf = (target: string): string =>
  ({
    random: say`random rotation`,
    hadamard: say`Hadamard`,
    fourier: say`Fourier transform`,
    permutation: say`permutation`,
  })[target] ?? target;

export default function ButterflyLab() {
  const lab = useLab();
  const size = Number(lab.text('d'));
  const block = Math.min(Number(lab.text('b')), size);
  const picked = { b: block, m: Math.min(lab.number('m'), mostFactors(size, block)) };
  const wanted = { target: lab.text('target') as TargetName, d: size, seed: lab.number('seed') };
  const { fit, ...run } = useFit(wanted, BUTTERFLY_FITS, [indexOfShape(shapesOf(size), picked)]);
  const symbol = (name: string) => <Sym name={name}>{name}</Sym>;
  return (
    <>
      <Step title={say`Blocks along the diagonal`}>
        <p>
          {rich`A full rotation of ${symbol('d')} inputs has many numbers. OFT takes small rotations of ${symbol('b')} inputs instead, side by side. That saves numbers, but inputs of different blocks never mix. At the end of the formula: how many free numbers that takes.`}
        </p>
        <Formula source={`${BLOCKS} \\qquad ${BLOCK_COUNT}`} />
      </Step>
      <Step title={say`Butterfly factors`}>
        <p>
          {rich`BOFT multiplies ${symbol('m')} such matrices. Each joins other inputs, wired as in the fast ${<Term of="Fourier-transform" />}, so each further factor doubles how many inputs reach an output.`}
        </p>
        <Formula source={`${FACTORS} \\qquad ${FACTOR_COUNT}`} />
      </Step>
      <Step title={say`Fit both to one target`}>
        <p>
          {rich`Every point below is a fit by ${<Term of="gradient-descent" />}, with the kernels that train OFT and BOFT. All run at once, from small random rotations. The distance is that of the fit from the target, over the size of the target; two rotations that have nothing in common are √2, about 1.41, apart.`}
        </p>
        <div className="lab-controls">
          <LabControl name="target" label={say`Target`} titleOf={titleOf} />
          <LabControl name="d" label={say`Inputs d`} />
          <LabControl name="seed" label={say`Seed`} />
        </div>
        <FitButtons {...run} title={say`Fit again`} />
        {fit === null ? (
          <p className="hint">{say`The engine is being started …`}</p>
        ) : (
          <ErrorFigure fits={fit} picked={picked} />
        )}
      </Step>
      <Step title={say`Look at one of them`}>
        <div className="lab-controls">
          <LabControl
            name="b"
            label={say`Block size b`}
            instead={String(block)}
            refuse={(value) =>
              Number(value) > size ? say`With ${size} inputs a block has at most ${size}.` : null
            }
          />
          <LabControl name="m" label={say`Factors m`} max={mostFactors(size, block)} />
        </div>
        {fit === null ? null : <MatrixFigure fits={fit} />}
      </Step>
      <TryThis
        items={[
          rich`Take the ${<Term of="Hadamard-matrix" />}: the line of blocks of 2 falls to zero at its last factor, when every input reaches every output.`,
          rich`Take the Fourier transform: blocks of 4 find it, since a complex number is two real ones. Blocks of 2 do not. Its inputs come in ${<Term of="bit-reversed" />} order here, as the fast transform takes them; in their usual order blocks of 4 would not find it.`,
          rich`Take the ${<Term of="permutation" />}: mixing everything is not enough. Most orders have no place in the wires of blocks of 2.`,
          say`Take a random rotation of 32 inputs: five factors with blocks of 2, 80 numbers, come closer than blocks of 8, 112 numbers.`,
          say`One block as large as all inputs could be any rotation, and still does not reach a random one in so few steps: a turn of nearly 180° needs a very large q.`,
        ]}
      />
      <ButterflyQuestions fits={fit} />
    </>
  );
}
