/** The page of LoRA: the directions of a change, two thin matrices, their scaling and start, lengths and angles beside OFT, and what it costs. */

import { say } from '../../../../common.ts';
import { UPDATE_SIZE, type UpdateTarget } from '../../../../labs.ts';
import { hundredths } from '../../../format.ts';
import { Formula, Sym } from '../../../parts/Formula.tsx';
import { rich } from '../../../parts/rich.ts';
import { Sentences } from '../../../parts/Sentences.tsx';
import { targetTitle } from '../../fourier/fits.ts';
import { LabControl } from '../../LabControl.tsx';
import { Step } from '../../LabText.tsx';
import { useLab } from '../../useLab.ts';
import { CostStep } from '../CostFigure.tsx';
import { BLOCKS, CAYLEY, LORA, SCALED, TURNED } from '../formulas.ts';
import { Term } from '../Glossary.tsx';
import { Sources } from '../Sources.tsx';
import { DirectionsFigure, ProductFigure } from './figures.tsx';
import { BesideFigure, MovedFigure, useMoved } from './moved.tsx';

const symbol = (name: string, text = name) => <Sym name={name}>{text}</Sym>;

export default function LoraPage() {
  const lab = useLab();
  const target = lab.text('target') as UpdateTarget;
  const moved = useMoved(Number(lab.text('few')), lab.number('alpha'));
  return (
    <>
      <Step title={say`1. The directions of a change`}>
        <p>
          {rich`${<Term of="fine-tuning">{say`Fine-tuning`}</Term>} takes the ${<Term of="weight">{say`weights`}</Term>} of a ${<Term of="layer">{say`layer`}</Term>} from W to W + ${symbol('dW', 'ΔW')}. A change reads its inputs along some directions and writes along others, more in one, less in the next: its singular values say how much. Where a few of them hold nearly all, the change is nearly of ${<Term of="low-rank">{say`low rank`}</Term>}. LoRA supposes that what fine-tuning needs is such a change.`}
        </p>
        <div className="lab-controls">
          <LabControl name="target" label={say`The change ΔW`} titleOf={targetTitle} />
        </div>
        <DirectionsFigure target={target} />
      </Step>
      <Step title={say`2. Two thin matrices`}>
        <p>
          {rich`LoRA does not train ${symbol('dW', 'ΔW')} but two matrices, A with ${symbol('r')} rows and B with ${symbol('r')} columns. Their product has the size of the weight and a ${<Term of="rank" />} of at most ${symbol('r')}: so many directions and no more. The ${<Term of="parameter">{say`numbers that train`}</Term>} grow with the sum of inputs and outputs, not with their product.`}
        </p>
        <Formula source={LORA} />
        <div className="lab-controls">
          <LabControl name="r" label={say`Rank r`} />
        </div>
        <ProductFigure target={target} rank={lab.number('r')} />
        <p>
          <Sentences>
            {say`Here the change is known, and A and B are fitted to it: ${UPDATE_SIZE} inputs and as many outputs. A run does not know it; it follows the loss.`}
            <a href="#lab=fourier">{say`Try it in the lab: train it beside FourierFT, on as many numbers.`}</a>
          </Sentences>
        </p>
      </Step>
      <Step title={say`3. Where it begins, and what α does`}>
        <p>
          {rich`B begins at zero, so that the model answers at first as it did, and A at random numbers: if both were zero, the ${<Term of="gradient">{say`gradient`}</Term>} of both would be, too. The product is multiplied by ${symbol('alpha', 'α')} / ${symbol('r')}. This ${<Term of="scaling" />} is set, not trained: it says how far a step of training moves the weights, and the division keeps that about the same when the rank is changed.`}
        </p>
        <Formula source={SCALED} />
        <p>
          {rich`Below are the five ${<Term of="neuron">{say`neurons`}</Term>} of the page of OFT. With rank 1 each is moved along the one direction of A, as far as its own number of B says.`}
        </p>
        <div className="lab-controls">
          <LabControl name="alpha" label={say`Scaling α`} format={hundredths} />
          <LabControl name="few" label={say`Rank r`} />
        </div>
        <MovedFigure moved={moved} />
      </Step>
      <Step title={say`4. Lengths and angles, beside OFT`}>
        <p>
          {rich`Nothing in LoRA holds on to the ${<Term of="angle">{say`angles`}</Term>} between neurons, or to their lengths: within its few directions a change may do anything. OFT turns all of them by one ${<Term of="rotation">{say`rotation`}</Term>}, and both stay. Which of the two a task needs, only a run tells.`}
        </p>
        <Formula source={TURNED} />
        <Formula source={CAYLEY} />
        <Formula source={BLOCKS} />
        <div className="lab-controls">
          <LabControl name="q" label={say`Skew number q`} format={hundredths} />
        </div>
        <BesideFigure moved={moved} q={lab.number('q')} />
        <p>
          <a href="#lab=forgetting">{say`The lab on forgetting trains both, and shows what became of angles and answers.`}</a>
        </p>
      </Step>
      <CostStep
        intro={say`Twice the rank, twice the numbers and twice the work beside the layer. What was learnt can be added to W once and for all; then the layer costs what it did. OFT stands beside it, as on its own page.`}
        method="oft"
        fields={{ oft_block_size: Number(lab.text('block')), r: 0 }}
      >
        <LabControl name="block" label={say`OFT’s block size b`} />
      </CostStep>
      <Sources of={['lora', 'eckart', 'oft', 'peftLora']} />
    </>
  );
}
