/** The page of FourierFT: a change of the weights as a picture, its spectrum, a few frequencies, the way back, and what it costs. */
import { say } from '../../../../common.ts';
import { UPDATE_SIZE, type UpdateTarget, type Way } from '../../../../labs.ts';
import { Formula, Sym } from '../../../parts/Formula.tsx';
import { rich } from '../../../parts/rich.ts';
import { targetTitle, wayTitle } from '../../fourier/fits.ts';
import { LabControl } from '../../LabControl.tsx';
import { Step } from '../../LabText.tsx';
import { useLab } from '../../useLab.ts';
import { CostStep } from '../CostFigure.tsx';
import { INVERSE, WAVE } from '../formulas.ts';
import { Term } from '../Glossary.tsx';
import { Sources } from '../Sources.tsx';
import { changeOf, chosenOf } from './change.ts';
import { ChangeFigure, ChosenFigure, InverseFigure, WaveFigure } from './figures.tsx';

const symbol = (name: string, text = name) => <Sym name={name}>{text}</Sym>;

export default function FourierftPage() {
  const lab = useLab();
  const change = changeOf(lab.text('target') as UpdateTarget);
  const chosen = chosenOf(change, lab.text('way') as Way, lab.number('n'), lab.number('places'));
  return (
    <>
      <Step title={say`1. A change of the weights, as a picture`}>
        <p>
          {rich`${<Term of="fine-tuning">{say`Fine-tuning`}</Term>} takes the ${<Term of="weight">{say`weights`}</Term>} of a ${<Term of="layer">{say`layer`}</Term>} from W to W + ${symbol('dW', 'ΔW')}. The change has an entry for every pair of an input and an output. Draw each as a square, and it is a picture. LoRA takes it to be of ${<Term of="low-rank">{say`low rank`}</Term>}. FourierFT asks for something else: that a few waves make most of it.`}
        </p>
        <div className="lab-controls">
          <LabControl name="target" label={say`The change ΔW`} titleOf={targetTitle} />
        </div>
        <ChangeFigure change={change} />
      </Step>
      <Step title={say`2. Its spectrum`}>
        <p>
          {rich`Every matrix is a sum of waves. Each has ${<Term of="frequency">{say`two frequencies`}</Term>}, ${symbol('u', '(u, v)')}: it rises and falls u times down the rows and v times along the columns. How much of each is in a matrix is its ${<Term of="spectrum">{say`spectrum`}</Term>}. Waves of few turns lie in the middle of the map; those opposite each other are the same wave. In the formula p is the row of an entry and q its column, both from 0 on.`}
        </p>
        <Formula source={WAVE} />
        <div className="lab-controls">
          <LabControl name="u" label={say`Frequency u`} />
          <LabControl name="v" label={say`Frequency v`} />
        </div>
        <WaveFigure change={change} u={lab.number('u')} v={lab.number('v')} />
      </Step>
      <Step title={say`3. A few frequencies`}>
        <p>
          {rich`FourierFT keeps ${symbol('n')} of the ${UPDATE_SIZE}² frequencies and leaves the others at zero. Which they are is settled before training: ${<Term of="PEFT" />} draws them from a ${<Term of="seed">{say`seed`}</Term>}, so that a file needs to store nothing of them but that. What trains is one real ${<Term of="coefficient">{say`coefficient`}</Term>} for each. The page opens with the lowest frequencies, which show what few waves can do where they are the right ones. Take those that PEFT draws, and see how few of them are in the change; the best ones are here to compare with.`}
        </p>
        <div className="lab-controls">
          <LabControl name="n" label={say`Frequencies n`} />
          <LabControl name="way" label={say`How they are chosen`} titleOf={wayTitle} />
          <LabControl name="places" label={say`Seed of the draw`} />
        </div>
        <ChosenFigure chosen={chosen} />
      </Step>
      <Step title={say`4. Back by the inverse transform`}>
        <p>
          {rich`The ${<Term of="Fourier-transform">{say`inverse Fourier transform`}</Term>} adds the waves up again, each with its coefficient. Every coefficient reaches over all of ${symbol('dW', 'ΔW')}: that is how so few numbers change so many weights. ${symbol('alpha', 'α')} is a scaling that is set, not trained.`}
        </p>
        <Formula source={INVERSE} />
        <InverseFigure change={change} chosen={chosen} />
        <p>
          {say`Frequencies that are drawn bring back little of a picture that is given: of so many waves the draw finds few that matter. Training does not ask for a given picture. Of all the changes that these waves can make it looks for one with a low loss, and in a large model many changes may serve. The authors of FourierFT report results beside LoRA’s with far fewer numbers; whether that holds for a task of yours, a run beside LoRA tells.`}
        </p>
        <p>
          <a href="#lab=fourier">{say`Try it in the lab: train it beside LoRA, on as many numbers.`}</a>
        </p>
      </Step>
      <CostStep
        intro={say`The number of coefficients is yours to choose, and it does not grow with the layer. The work does: the change has as many entries as there are weights, and a step either transforms it or sends the rows of activations through the transform. The engine takes whichever is less.`}
        method="fourierft"
        fields={{ n_frequency: lab.number('frequencies') }}
      >
        <LabControl name="frequencies" label={say`Frequencies n`} />
      </CostStep>
      <Sources of={['fourierft', 'lora', 'peftFourier']} />
    </>
  );
}
