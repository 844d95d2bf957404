/** The page of BOFT: the same angles, one rotation of all and its way back, blocks as information, butterflies, and what they cost. */

import { say } from '../../../../common.ts';
import { mostFactors } from '../../../../labs.ts';
import type { Way } from '../../../features/weights/back.ts';
import { hundredths } from '../../../format.ts';
import { Formula, Sym } from '../../../parts/Formula.tsx';
import { rich } from '../../../parts/rich.ts';
import { LabControl } from '../../LabControl.tsx';
import { Step } from '../../LabText.tsx';
import { useLab } from '../../useLab.ts';
import { CostStep, mostFactorsOn } from '../CostFigure.tsx';
import { FACTORS, LORA, TURNED } from '../formulas.ts';
import { Term } from '../Glossary.tsx';
import { Sources } from '../Sources.tsx';
import { WiresFigure } from '../WiresFigure.tsx';
import { BackFigure } from './BackFigure.tsx';
import { PairsFigure } from './PairsFigure.tsx';
import { LEVELS, PAIRS } from './settings.ts';
import { TransmissionFigure } from './TransmissionFigure.tsx';

const symbol = (name: string) => <Sym name={name}>{name}</Sym>;

export default function BoftPage() {
  const lab = useLab();
  const [inputs, block] = [Number(lab.text('inputs')), Number(lab.text('block'))];
  const factors = Math.min(lab.number('factors'), mostFactorsOn(inputs, block));
  return (
    <>
      <AnglesStep />
      <BackStep />
      <TransmissionStep />
      <ButterflyStep />
      <CostStep
        intro={say`With blocks of the same size, m factors have m times the numbers of one. What they buy is reach: an output that hears of all inputs takes far fewer numbers than one block for all. BOFT also trains a scale for each output, which is counted here.`}
        method="boft"
        fields={{ boft_block_size: block, boft_block_num: 0, boft_n_butterfly_factor: factors }}
      >
        <LabControl name="block" label={say`Block size b`} />
        <LabControl name="factors" label={say`Factors m`} max={mostFactorsOn(inputs, block)} />
      </CostStep>
      <Sources of={['boft', 'oft', 'lora', 'peftOft']} />
    </>
  );
}

function AnglesStep() {
  const lab = useLab();
  return (
    <Step title={say`1. Angles between neurons`}>
      <p>
        {rich`As in OFT, all ${<Term of="neuron">{say`neurons`}</Term>} of a layer are turned by one ${<Term of="rotation">{say`rotation`}</Term>} ${symbol('R')}, which leaves the ${<Term of="angle">{say`angles`}</Term>} between them alone. LoRA adds a matrix of ${<Term of="low-rank">{say`low rank`}</Term>} instead. Below are the same neurons changed in both ways, by as much: each point is a pair, and on the dashed line its angle is what it was.`}
      </p>
      <Formula source={TURNED} />
      <Formula source={LORA} />
      <div className="lab-controls">
        <LabControl name="far" label={say`How far they are moved`} format={hundredths} />
      </div>
      <PairsFigure far={lab.number('far')} />
    </Step>
  );
}

function BackStep() {
  const lab = useLab();
  const titleOf = (way: string) =>
    way === 'together' ? say`All factors together` : say`One after the other`;
  return (
    <Step title={say`2. A rotation of all, in factors`}>
      <p>
        {rich`BOFT writes ${symbol('R')} as a product of ${symbol('m')} ${<Term of="factor">{say`factors`}</Term>}, each of them a rotation. A product of rotations is a rotation, whichever of them count: set one to the ${<Term of="identity">{say`identity`}</Term>}, and what is left still keeps all angles. So a trained model has a way back, along which one can take as much of what was learnt as one likes. Half the entries of a rotation are no rotation; half its skew numbers make one, so those are what the strength multiplies. The paper’s figure 10 takes it with pictures; here is a layer of 64 inputs that was trained, just now, to answer with a B where an A goes in.`}
      </p>
      <div className="lab-controls">
        <LabControl name="way" label={say`Which way back`} titleOf={titleOf} />
        <LabControl name="strength" label={say`Strength`} format={hundredths} />
      </div>
      <BackFigure way={lab.text('way') as Way} strength={lab.number('strength')} />
    </Step>
  );
}

function TransmissionStep() {
  const lab = useLab();
  const pairs = Array.from({ length: LEVELS }, (_, i) => lab.text(`pair${i + 1}`));
  const titleOf = (pair: string) => (pair === PAIRS[0] ? say`nothing` : `${pair[0]}–${pair[1]}`);
  return (
    <Step title={say`3. Blocks, seen as information`}>
      <p>
        {rich`A block joins a few inputs and no others. Which entries of a product of such matrices can differ from zero? The paper’s figure 2 asks it of a graph: each matrix joins a column of nodes to the next, and entry (i, j) of the product can differ from zero where a way leads from node j to node i. Here each of five factors joins one pair of four nodes. Choose which.`}
      </p>
      <div className="lab-controls">
        {pairs.map((_, i) => (
          <LabControl
            // biome-ignore lint/suspicious/noArrayIndexKey: a factor is its number.
            key={i}
            name={`pair${i + 1}`}
            label={say`Factor ${i} joins`}
            titleOf={titleOf}
          />
        ))}
      </div>
      <TransmissionFigure pairs={pairs} input={1} />
    </Step>
  );
}

function ButterflyStep() {
  const lab = useLab();
  const [size, block] = [Number(lab.text('d')), Number(lab.text('b'))];
  const most = mostFactors(size, block);
  const factors = Math.min(lab.number('m'), most);
  return (
    <Step title={say`4. Butterflies`}>
      <p>
        {rich`The paper takes the graph of the fast ${<Term of="Fourier-transform" />}, which gets along with few edges, the ${<Term of="butterfly">{say`butterfly`}</Term>}: each factor joins nodes twice as far apart as the one before, so that each doubles how many inputs reach an output. This is the paper’s figure 4, for any number of inputs ${symbol('d')}, ${<Term of="block-size">{say`block size`}</Term>} ${symbol('b')} and number of factors ${symbol('m')}. At the end of the formula: how many free numbers they have.`}
      </p>
      <Formula source={FACTORS} />
      <div className="lab-controls">
        <LabControl name="d" label={say`Inputs d`} />
        <LabControl name="b" label={say`Block size b`} />
        <LabControl name="m" label={say`Factors m`} max={most} />
        <LabControl name="input" label={say`Input that is followed`} max={size} />
      </div>
      <WiresFigure
        id="butterfly"
        quantity="reach"
        title={say`${factors} factors with blocks of ${block} on ${size} inputs`}
        {...{ d: size, b: block, m: factors, input: Math.min(lab.number('input'), size), hasFactors: true }}
      />
      <p>
        <a href="#lab=butterfly">{say`Try it in the lab: fit rotations with butterflies and with blocks.`}</a>
      </p>
    </Step>
  );
}
