/** The choice of the method and its size, with its formula, and the numbers that it comes to on this model. */
import { mark, say } from '../../../common.ts';
import { methodTitle, whole } from '../../format.ts';
import { Formula, Sym } from '../../parts/Formula.tsx';
import { rich } from '../../parts/rich.ts';
import { LabControl } from '../LabControl.tsx';
import { Term } from '../textbook/Glossary.tsx';
import { useLab } from '../useLab.ts';
import type { FirstView } from './runs.ts';
import { type FirstMethod, OWN_RATE } from './settings.ts';
import { firstSettings, numbersIn } from './setup.ts';

const [r, b, m, n, d] = [mark('r'), mark('b'), mark('m'), mark('n'), mark('d', 'd_{\\text{in}}')];

const alpha = mark('alpha', '\\alpha');
const OUT = 'd_{\\text{out}}';

/** The changed weight, and the numbers that one layer takes. */
const FORMULAS: Readonly<Record<FirstMethod, string>> = {
  lora: `W'=W+\\tfrac{${alpha}}{${r}}\\,BA,\\qquad ${r}\\,(${d}+${OUT})`,
  oft: `W'=W\\,R^{\\top},\\qquad{R}=\\operatorname{diag}(R_1,\\dots,R_{${d}/${b}}),\\qquad \\tfrac{1}{2}\\,${d}\\,(${b}-1)`,
  boft: `W'=\\operatorname{diag}(s)\\,W\\,R^{\\top},\\qquad{R}=B_{${m}-1}\\cdots\\,B_1\\,B_0,\\qquad \\tfrac{1}{2}\\,${m}\\,${d}\\,(${b}-1)+${OUT}`,
  fourierft: `W'_{pq}=W_{pq}+\\tfrac{${alpha}}{${OUT}\\,${d}}\\,\\sum_{k=1}^{${n}}s_k\\cos2\\pi\\Bigl(\\tfrac{p\\,u_k}{${OUT}}+\\tfrac{q\\,v_k}{${d}}\\Bigr),\\qquad ${n}`,
};

const ideaOf = (method: FirstMethod) => {
  const symbol = (name: string) => <Sym name={name}>{name}</Sym>;
  return {
    lora: rich`LoRA adds to each weight a product of two thin matrices, of ${<Term of="rank" />} ${symbol('r')}.`,
    oft: rich`OFT turns the inputs of each weight, in blocks of ${symbol('b')}: lengths and angles stay nearly as they are, while the turns are small. They would stay entirely by the exact rotation, in whose place ${<Term of="PEFT" />} takes a short series.`,
    boft: rich`BOFT turns the inputs of each weight by ${symbol('m')} rotations one after another, wired like a butterfly, so that small blocks of ${symbol('b')} mix many inputs. ${<Term of="PEFT" />}’s BOFT also trains a scale for each output.`,
    fourierft: rich`FourierFT adds a sum of ${symbol('n')} waves to each weight, of which it trains the heights s. In the formula p is the row of an entry and q its column; u and v say how many times a wave rises and falls down the rows and along the columns.`,
  }[method];
};

/** The controls that size each method. */
const SIZES: Readonly<Record<FirstMethod, readonly ('r' | 'b' | 'm' | 'n')[]>> = {
  lora: ['r'],
  oft: ['b'],
  boft: ['b', 'm'],
  fourierft: ['n'],
};

export function MethodChoice({ model, preview }: Pick<FirstView, 'model' | 'preview'>) {
  const lab = useLab();
  const method = firstSettings(lab.values).method as FirstMethod;
  const classes = preview?.report.labels.length ?? 0;
  const numbers = model === null ? null : numbersIn(lab.values, model, classes);
  const labels = {
    r: say`Rank r`,
    b: say`Block size b`,
    m: say`Factors m`,
    n: say`Frequencies n`,
  };
  return (
    <>
      <div className="lab-controls">
        <LabControl name="method" label={say`Method`} titleOf={(id) => methodTitle(id as FirstMethod)} />
        {SIZES[method].map((name) => (
          <LabControl key={name} name={name} label={labels[name]} />
        ))}
      </div>
      <p>{ideaOf(method)}</p>
      <Formula source={FORMULAS[method]} />
      <p data-testid="own-count">
        {numbers === null
          ? say`At the end of the formula: the numbers that a layer takes, by how many inputs and outputs it has.`
          : say`At the end of the formula: the numbers that a layer takes, by how many inputs and outputs it has. On every layer of this model, with a new head of ${classes} letters, that comes to ${whole(numbers)} numbers; the model has ${whole(model!.parameters)}.`}
      </p>
      <div className="lab-controls">
        <LabControl name="steps" label={say`Steps`} />
        <LabControl
          name="rate"
          label={say`Learning rate`}
          titleOf={(value) => (value === OWN_RATE ? say`the method’s own` : value)}
        />
        <LabControl name="seed" label={say`Seed`} />
      </div>
    </>
  );
}
