/** Fourier against low rank: one change of a weight, fitted by LoRA and by FourierFT at equal numbers. */
import { mark, say, whole } from '../../../common.ts';
import { numbersOf, pieceAt, UPDATE_SIZE, type UpdateTarget, type Way } from '../../../labs.ts';
import { Formula, Sym } from '../../parts/Formula.tsx';
import { rich } from '../../parts/rich.ts';
import { FitButtons } from '../FitButtons.tsx';
import { LabControl } from '../LabControl.tsx';
import { Step, TryThis } from '../LabText.tsx';
import { Term } from '../textbook/Glossary.tsx';
import { useFit } from '../useFit.ts';
import { useLab } from '../useLab.ts';
import { CurveFigure } from './CurveFigure.tsx';
import { FourierQuestions } from './FourierQuestions.tsx';
import { FOURIER_FITS, targetTitle, wayTitle } from './fits.ts';
import { MapsFigure } from './MapsFigure.tsx';
import { SpectrumFigure } from './SpectrumFigure.tsx';

const [r, n, W, u, v] = [mark('r'), mark('n'), mark('dW', '\\Delta{W}'), mark('u'), mark('u', 'v')];
const alpha = mark('alpha', '\\alpha');
const LORA = `${W} \\approx \\tfrac{${alpha}}{${r}}\\,B\\,A, \\qquad{B}\\in\\mathbb{R}^{d\\times{${r}}},\\; A\\in\\mathbb{R}^{${r}\\times{d}}`;
const FOURIER = `${W}_{pq} \\approx \\tfrac{${alpha}}{d^2} \\sum_{k=1}^{${n}} s_k \\cos \\tfrac{2\\pi}{d}\\,(p\\,${u}_k + q\\,${v}_k)`;
const BUDGET = `${n} = 2\\,d\\,${r}`;

export default function FourierLab() {
  const lab = useLab();
  const [rank, way] = [Number(lab.text('r')), lab.text('way') as Way];
  const wanted = {
    target: lab.text('target') as UpdateTarget,
    seed: lab.number('seed'),
    placeSeed: lab.number('places'),
  };
  const picks = [pieceAt({ method: 'lora', rank }), pieceAt({ method: way, rank })];
  const { fit, ...run } = useFit(wanted, FOURIER_FITS, picks);
  const symbol = (name: string, text = name) => <Sym name={name}>{text}</Sym>;
  return (
    <>
      <Step title={say`Two ways to write a change with few numbers`}>
        <p>
          {rich`Fine-tuning adds a change ${symbol('dW', 'ΔW')} to a weight of d inputs and d outputs, here d = ${UPDATE_SIZE}. LoRA writes it as a product of two thin matrices, of ${<Term of="rank" />} ${symbol('r')} at most.`}
        </p>
        <Formula source={LORA} />
        <p>
          {rich`FourierFT takes the change for a picture and adds up ${symbol('n')} waves. Their frequencies ${symbol('u', '(u, v)')} are chosen beforehand and stay; what trains is how high each wave is, a real number. In the formula p is the row of an entry and q its column, both from 0 on. The scalings α of both are set so that the factors in front are 1 here.`}
        </p>
        <Formula source={FOURIER} />
      </Step>
      <Step title={say`Fit both with as many numbers`}>
        <p>
          {rich`Every mark below is a fit by ${<Term of="gradient-descent" />}, with the kernels that train LoRA and FourierFT. All run at once. For each rank ${symbol('r')} FourierFT has as many waves ${symbol('n')} as LoRA has numbers:`}
        </p>
        <Formula source={BUDGET} />
        <p>
          {rich`${<Term of="PEFT" />} draws the frequencies at random, and so does this lab at first. Two other choices are here to compare with: the lowest ones, and those that the target has most of, which nobody knows before training.`}
        </p>
        <div className="lab-controls">
          <LabControl name="target" label={say`Target ΔW`} titleOf={targetTitle} />
          <LabControl
            name="r"
            label={say`Rank r`}
            hint={say`${numbersOf(rank)} numbers of ${whole(UPDATE_SIZE * UPDATE_SIZE)}`}
          />
          <LabControl name="way" label={say`Frequencies`} titleOf={wayTitle} />
          <LabControl name="seed" label={say`Seed of the target`} />
          <LabControl name="places" label={say`Seed of the draw`} hint={say`PEFT’s random_loc_seed`} />
        </div>
        <FitButtons {...run} title={say`Fit again`} />
        {fit === null ? (
          <p className="hint">{say`The engine is being started …`}</p>
        ) : (
          <>
            <CurveFigure fits={fit} rank={rank} way={way} />
            <MapsFigure fits={fit} />
          </>
        )}
      </Step>
      <Step title={say`Which waves are in it`}>
        <p>
          {say`A cosine wave looks the same from the opposite corner, and so does every sum of them. That is half of all there is: the other half are sines, and a real coefficient makes none. Of the waves that are drawn few are in a given target, so they bring back little of it. A run does not ask for a given target: of all the changes that its waves can make it looks for one with a low loss. The paper tried to favour some frequencies in the draw as well.`}
        </p>
        {fit === null ? null : <SpectrumFigure fits={fit} rank={rank} way={way} />}
      </Step>
      <TryThis
        items={[
          say`Change the seed of the draw: few of the waves that are drawn are in the smooth target, whichever they are.`,
          say`Take the lowest frequencies: 64 of them find the smooth target. Its rank is 7, which LoRA needs, too.`,
          say`Shift the smooth target: LoRA’s line stays where it is, that of the lowest frequencies rises.`,
          say`Take the few entries: six numbers that are not zero have rank 6, and something of every frequency.`,
          say`Take the low rank: LoRA finds it from rank 2 on, and no choice of so few waves does.`,
          say`Take the random target: whoever has few numbers stays far away.`,
        ]}
      />
      <FourierQuestions fits={fit} />
    </>
  );
}
