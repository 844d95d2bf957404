/** What is kept and what is forgotten: networks that know one task learn another by four methods and in full, and what that does to angles and answers. */
import { listOf, mark, say, whole } from '../../../common.ts';
import { FORGET_METHODS, type ForgetMethodId, NETWORKS } from '../../../labs.ts';
import { Formula, Sym } from '../../parts/Formula.tsx';
import { rich } from '../../parts/rich.ts';
import { FitButtons } from '../FitButtons.tsx';
import { LabControl } from '../LabControl.tsx';
import { Step, TryThis } from '../LabText.tsx';
import { ENERGY } from '../textbook/formulas.ts';
import { Term } from '../textbook/Glossary.tsx';
import { useFit } from '../useFit.ts';
import { useLab } from '../useLab.ts';
import { AnglesFigure } from './AnglesFigure.tsx';
import { ForgettingQuestions } from './ForgettingQuestions.tsx';
import { KeptFigure } from './KeptFigure.tsx';
import { PlaneFigure } from './PlaneFigure.tsx';
import { FORGETTING, methodIndex, nameOf, numbersBy, titleOf } from './runs.ts';
import { SingularFigure } from './SingularFigure.tsx';
import { forgetRequest } from './settings.ts';

const [R, W, turned, change, n, alpha] = [
  mark('R'),
  mark('W'),
  mark('Wnew', "W'"),
  mark('dW', '\\Delta{W}'),
  mark('n'),
  mark('alpha', '\\alpha'),
];
const ROTATED = `${turned} = ${W}\\,${R}^{\\top}, \\qquad ${R}^{\\top}${R} = I`;
const ADDED = `${turned} = ${W} + ${change}, \\qquad ${change} = \\tfrac{${alpha}}{r}\\,B\\,A \\;\\text{ / }\\; \\tfrac{${alpha}}{d^2} \\sum_{k=1}^{${n}} s_k\\cos(\\dots)`;

const symbol = (name: string) => <Sym name={name}>{name}</Sym>;

function Idea() {
  return (
    <Step title={say`What a method keeps by itself`}>
      <p>
        {rich`A neuron is the row of a weight that one output reads its inputs with. OFT and BOFT turn all neurons of a layer by one rotation ${symbol('R')}: no length changes, and no angle between two of them.`}
      </p>
      <Formula source={ROTATED} />
      <p>
        {rich`Here both take the exact Cayley transform. ${<Term of="PEFT" />}’s OFT takes a short series by default, which is nearly a rotation while the turns are small. PEFT’s BOFT also trains a scale for each output, which changes the length of its neuron; here it has none.`}
      </p>
      <p>
        {rich`LoRA adds a change of small ${<Term of="rank" />}, FourierFT a sum of a few waves. Within its few numbers either may do anything to lengths and angles.`}
      </p>
      <Formula source={ADDED} />
      <p>
        {rich`${<Term of="full-fine-tuning">{say`Full fine-tuning`}</Term>} has no such form: every entry of the weight is a number that trains. It is what all of them are held against, and is free to do anything.`}
      </p>
      <p>
        {say`How evenly the directions of the neurons lie is their hyperspherical energy. The papers of OFT and BOFT keep it on purpose. What becomes of the answers is another question, and has to be measured.`}
      </p>
      <Formula source={ENERGY} />
    </Step>
  );
}

export default function ForgettingLab() {
  const lab = useLab();
  const method = lab.text('method') as ForgetMethodId;
  const wanted = forgetRequest(lab.values);
  const network = Number(lab.text('network')) - 1;
  const { fit, ...run } = useFit(wanted, FORGETTING, [network]);
  const numbers = numbersBy(wanted.budget);
  const counts = listOf(FORGET_METHODS.map((id, m) => `${nameOf(id)} ${whole(numbers[m]!)}`));
  return (
    <>
      <Idea />
      <Step title={say`One task after the other`}>
        <p>
          {say`${NETWORKS} small networks, each with two layers of 32 neurons, first learn the old task: a disc in a ring. Then one weight of each, that of the second layer, learns the new task: four quarters, somewhere else in the plane. The old points are not shown again. All methods start from the same networks. OFT, BOFT, LoRA and FourierFT have about as many numbers, which stand below the choice; full fine-tuning has all ${whole(numbers[methodIndex('full')]!)} of the weight.`}
        </p>
        <div className="lab-controls">
          <LabControl name="method" label={say`Method`} titleOf={(id) => titleOf(id as ForgetMethodId)} />
          <LabControl name="budget" label={say`Numbers that train, about`} hint={counts} />
          <LabControl
            name="apart"
            label={say`Distance of the tasks`}
            hint={say`At 0 both lie at the same place.`}
          />
          <LabControl name="network" label={say`Network`} />
          <LabControl name="seed" label={say`Seed`} />
        </div>
        <FitButtons {...run} title={say`Train again`} />
        {fit === null ? (
          <p className="hint">{say`The networks learn the old task …`}</p>
        ) : (
          <>
            <KeptFigure run={fit} method={method} />
            <PlaneFigure run={fit} method={method} />
          </>
        )}
      </Step>
      <Step title={say`What became of the weight`}>
        {fit === null ? null : (
          <>
            <AnglesFigure run={fit} method={method} />
            <SingularFigure run={fit} method={method} />
          </>
        )}
      </Step>
      <TryThis
        items={[
          say`Take LoRA and then OFT, and compare the angles before and after.`,
          say`Look at one network after the other: what single networks keep differs as much as what methods keep.`,
          say`Bring the tasks to one place, distance 0: nobody can answer both, for at many places the class is now the other one.`,
          say`Take full fine-tuning, which has many times as many numbers, and see whether it forgets more for that.`,
          say`Give the other methods more numbers, and see whether that keeps more or less.`,
        ]}
      />
      <ForgettingQuestions run={fit} />
    </>
  );
}
