/** The Cayley lab: skew numbers, the rotation that they make, and the series that PEFT takes in its place. */

import { mark, say } from '../../../common.ts';
import { degrees, hundredths, subscript } from '../../format.ts';
import { Formula, Sym } from '../../parts/Formula.tsx';
import { rich } from '../../parts/rich.ts';
import { LabControl } from '../LabControl.tsx';
import { Step, TryThis } from '../LabText.tsx';
import { Term } from '../textbook/Glossary.tsx';
import { Pending } from '../textbook/Pending.tsx';
import { useLab } from '../useLab.ts';
import { CayleyQuestions } from './CayleyQuestions.tsx';
import { RotationFigure } from './RotationFigure.tsx';
import { SeriesFigure } from './SeriesFigure.tsx';
import { ENTRIES } from './settings.ts';
import { useCayley } from './useCayley.ts';

const [q, b, Q, R, t] = [mark('q'), mark('b'), mark('Q'), mark('R'), mark('t')];
const SKEW = `${Q} = \\begin{pmatrix} 0 & ${q} \\\\ -${q} & 0 \\end{pmatrix}, \\qquad ${Q}^{\\top} = -${Q}`;
const CAYLEY = `${R} = (I - ${Q})\\,(I + ${Q})^{-1}, \\qquad ${R}^{\\top}${R} = I`;
// In two lines: a narrow window has no room for one.
const WHY = `\\begin{aligned} ${R}^{\\top}${R} = {} & (I - ${Q})^{-1}\\,(I + ${Q}) \\\\ & (I - ${Q})\\,(I + ${Q})^{-1} = I \\end{aligned}`;
const SERIES = `${R}^{\\top} \\approx{I} + 2\\,(${Q} + ${Q}^2 + \\dots + ${Q}^{${t}-2}) + ${Q}^{${t}-1}, \\qquad ${t} \\ge 4`;
const COUNT = `\\tfrac{1}{2}\\,${b}\\,(${b}-1)`;

export default function CayleyLab() {
  const lab = useLab();
  const size = Number(lab.text('b'));
  const names = ENTRIES[size]!;
  const skew = names.map((name) => lab.number(name));
  const turned = useCayley(size, skew);
  const symbol = (name: string, text = name) => <Sym name={name}>{text}</Sym>;
  return (
    <>
      <Step title={say`Numbers that may take any value`}>
        <p>
          {rich`Training moves every number freely. The entries of a rotation cannot be moved freely: change one, and lengths change. So OFT trains other numbers, the entries ${symbol('q')} above the diagonal of a ${<Term of="skew-symmetric" />} matrix ${symbol('Q')}. Below the diagonal stands the same with the other sign. ${<Term of="PEFT" />}’s BOFT trains all entries of a square matrix A and takes ${symbol('Q')} = ½ (A − Aᵀ) of it: as many numbers have an effect, and more than twice as many are stored.`}
        </p>
        <Formula source={SKEW} />
        <div className="lab-controls">
          <LabControl name="b" label={say`Block size b`} />
          {names.map((name) => (
            <LabControl key={name} name={name} label={`q${subscript(name.slice(1))}`} format={hundredths} />
          ))}
        </div>
      </Step>
      <Step title={say`The Cayley transform makes a rotation of them`}>
        <Formula source={CAYLEY} />
        <p>
          {rich`Whatever ${symbol('Q')} is, ${symbol('R')} keeps all lengths and all angles: transposing turns ${symbol('Q')} into −${symbol('Q')}, and the two factors may change places, so that in the product below each meets its own inverse.`}
        </p>
        <Formula source={WHY} />
        <p>{rich`A block of size ${symbol('b')} has this many free numbers:`}</p>
        <Formula source={COUNT} />
        <Pending of={turned}>
          {({ question, answer }) => <RotationFigure {...question} {...answer} />}
        </Pending>
      </Step>
      <Step title={say`A short series in place of the inverse`}>
        <p>
          {rich`An ${<Term of="inverse" />} costs much on a GPU. PEFT’s OFT adds up ${symbol('t')} terms of a ${<Term of="series" />} instead. It is as good as the numbers are small, and it gives the ${<Term of="transpose" />} of ${symbol('R')}: the same turn, the other way round.`}
        </p>
        <Formula source={SERIES} />
        <div className="lab-controls">
          <LabControl
            name="t"
            label={say`Terms t`}
            hint={say`With 2 terms PEFT takes I + 2Q, and with 3 the same as with 4.`}
          />
        </div>
        {turned.answered === null ? null : (
          <SeriesFigure {...turned.answered.question} {...turned.answered.answer} terms={lab.number('t')} />
        )}
      </Step>
      <TryThis
        items={[
          say`In a block of 2, move q₁₂ from −2 to 2: the letter turns both ways, by ${degrees(2 * Math.atan(2))} at most. A larger q would turn it further, but never by 180°.`,
          say`Set q₁₂ to 1.2 and take more terms: the exact rotation stays one, the series does not come to it.`,
          say`Take a block of 4: six numbers, and two planes that turn by angles of their own.`,
        ]}
      />
      <CayleyQuestions size={size} skew={skew} />
    </>
  );
}
