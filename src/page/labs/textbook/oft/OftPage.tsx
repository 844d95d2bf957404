/** The page of OFT: from the angles between neurons to blocks of rotations, and what they cost. */
import { say } from '../../../../common.ts';
import { trianglesOf } from '../../../../labs.ts';
import { hundredths, whole } from '../../../format.ts';
import { Formula, Sym } from '../../../parts/Formula.tsx';
import { rich } from '../../../parts/rich.ts';
import { LabControl } from '../../LabControl.tsx';
import { Step } from '../../LabText.tsx';
import { useLab } from '../../useLab.ts';
import { CostStep } from '../CostFigure.tsx';
import { BLOCKS, CAYLEY, ENERGY, FACTORS, LAYER, TURNED } from '../formulas.ts';
import { Term } from '../Glossary.tsx';
import { Sources } from '../Sources.tsx';

import { WiresFigure } from '../WiresFigure.tsx';
import { ApartFigure, TurnedFigure } from './figures.tsx';

const INPUTS = 16;
/** A usual width of a layer. */
const WIDE = 768;

export default function OftPage() {
  const lab = useLab();
  const symbol = (name: string) => <Sym name={name}>{name}</Sym>;
  return (
    <>
      <AnglesStep />
      <Step title={say`2. One rotation for all`}>
        <p>
          {rich`OFT turns all neurons of a layer by the same ${<Term of="rotation">{say`rotation`}</Term>} ${symbol('R')}. The layer answers otherwise than before, for its neurons point elsewhere. But as an ${<Term of="orthogonal">{say`orthogonal`}</Term>} matrix changes no length and no angle, they stand to each other as they did, and the energy is what it was.`}
        </p>
        <Formula source={TURNED} />
        <p>
          {rich`What trains is not ${symbol('R')} but numbers that may take any value: the entries ${symbol('q')} of a ${<Term of="skew-symmetric">{say`skew-symmetric`}</Term>} matrix ${symbol('Q')}. The Cayley transform makes a rotation of them, and the ${<Term of="identity">{say`identity`}</Term>} where all are zero. ${<Term of="PEFT" />}’s OFT takes a short series by default, which is nearly a rotation while the turns are small, and the other way round.`}
        </p>
        <Formula source={CAYLEY} />
        <div className="lab-controls">
          <LabControl name="q" label={say`Skew number q`} format={hundredths} />
        </div>
        <TurnedFigure q={lab.number('q')} />
        <p>
          <a href="#lab=cayley">{say`Try it in the lab: larger blocks, and the short series that PEFT takes.`}</a>
        </p>
      </Step>
      <Step title={say`3. Blocks`}>
        <p>
          {rich`A rotation of ${symbol('d')} inputs has ½ ${symbol('d')}(${symbol('d')} − 1) free numbers: ${whole(trianglesOf(WIDE))} for ${WIDE} inputs. OFT saves most of them. It cuts the inputs into groups of ${symbol('b')}, the ${<Term of="block-size">{say`block size`}</Term>}, and turns each group by a small rotation of its own, so that ${symbol('R')} has blocks along its diagonal and zeros elsewhere: figure 3 of the paper of BOFT, below for any block size. At the end of the formula: how many free numbers that takes.`}
        </p>
        <Formula source={BLOCKS} />
        <div className="lab-controls">
          <LabControl name="b" label={say`Block size b`} />
          <LabControl name="input" label={say`Input that is followed`} />
        </div>
        <WiresFigure
          id="blocks"
          quantity="reach"
          title={say`Blocks of ${lab.text('b')} on ${INPUTS} inputs`}
          d={INPUTS}
          b={Number(lab.text('b'))}
          m={1}
          input={lab.number('input')}
        />
      </Step>
      <Step title={say`4. Where blocks end, butterflies begin`}>
        <p>
          {rich`The price of blocks: inputs of different groups never mix, and which inputs share a group is an accident of their order. A second ${<Term of="factor">{say`factor`}</Term>}, whose blocks join other inputs, mends that. Wired like a ${<Term of="butterfly">{say`butterfly`}</Term>}, each further factor doubles how far an input reaches. That is BOFT; with one factor its rotation is that of OFT.`}
        </p>
        <Formula source={FACTORS} />
        <div className="lab-controls">
          <LabControl name="m" label={say`Factors m`} />
        </div>
        <WiresFigure
          id="second"
          quantity="second"
          title={say`Factors with blocks of 4 on ${INPUTS} inputs`}
          d={INPUTS}
          b={4}
          m={Number(lab.text('m'))}
          input={lab.number('input')}
        />
        <p>
          <a href="#page=boft">{say`The page of BOFT builds on this.`}</a>
        </p>
      </Step>
      <CostStep
        intro={say`Blocks decide the price: twice the block size, more than twice the trained numbers and twice the work of turning. Choose the layer that you have.`}
        method="oft"
        fields={{ oft_block_size: Number(lab.text('block')), r: 0 }}
      >
        <LabControl name="block" label={say`Block size b`} />
      </CostStep>
      <Sources of={['oft', 'energy', 'boft', 'peftOft']} />
    </>
  );
}

function AnglesStep() {
  const lab = useLab();
  const symbol = (name: string) => <Sym name={name}>{name}</Sym>;
  return (
    <Step title={say`1. Angles between neurons`}>
      <p>
        {rich`A ${<Term of="layer">{say`layer`}</Term>} multiplies its inputs by a matrix of ${<Term of="weight">{say`weights`}</Term>} ${symbol('W')}. Each row of it is a ${<Term of="neuron">{say`neuron`}</Term>}: it answers most to inputs that point its own way. The authors of OFT hold that much of what a trained layer knows lies in how its neurons stand to each other, that is, in the ${<Term of="angle">{say`angles`}</Term>} between them; so they keep these.`}
      </p>
      <Formula source={LAYER} />
      <p>
        {rich`Usual ${<Term of="fine-tuning">{say`fine-tuning`}</Term>} moves every neuron by itself. Below are five neurons of two inputs; move the slider, and each goes its own way, so that the angles change. The ${<Term of="hyperspherical-energy">{say`hyperspherical energy`}</Term>} sums up in one number how evenly they point in all directions, and is lowest where they do so best; a hat means that a neuron is brought to length 1.`}
      </p>
      <Formula source={ENERGY} />
      <div className="lab-controls">
        <LabControl name="own" label={say`How far each is moved by itself`} format={hundredths} />
      </div>
      <ApartFigure far={lab.number('own')} />
    </Step>
  );
}
