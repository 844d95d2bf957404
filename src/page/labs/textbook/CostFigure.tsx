/** What a method costs on a layer of the size that is set, beside LoRA and the layer alone: numbers counted by the method, multiply-adds on the engine's graphs. */
import type { ReactNode } from 'react';
import { say } from '../../../common.ts';
import type { Cost } from '../../../labs.ts';
import { type CommonConfig, type Layer, METHODS, type ParameterCount } from '../../../methods.ts';
import { refusal } from '../../features/butterfly/setting.ts';
import { bytes, count, fixed, percent, whole } from '../../format.ts';
import { Formula, Sym } from '../../parts/Formula.tsx';
import { rich } from '../../parts/rich.ts';
import { Sentences } from '../../parts/Sentences.tsx';
import { LabControl } from '../LabControl.tsx';
import { LabFigure } from '../LabFigure.tsx';
import { Step } from '../LabText.tsx';
import { labWorker } from '../labWorker.ts';
import { useLab, useShown } from '../useLab.ts';
import { countsOf } from './formulas.ts';
import { Term } from './Glossary.tsx';
import { Pending } from './Pending.tsx';
import { useAnswer } from './useAnswer.ts';

/** Rows of activations in a step: a text of so many tokens. */
const ROWS = 128;
const BYTES = 4;

type OwnMethod = 'oft' | 'boft' | 'fourierft';
type Method = OwnMethod | 'lora';

interface Entry {
  readonly method: Method;
  readonly fields: Readonly<Record<string, unknown>>;
}

interface CostRow {
  readonly name: string;
  readonly counted: ParameterCount;
  readonly cost: Cost;
}

/** Trained numbers of one linear layer. */
function countedOf({ method, fields }: Entry, inputs: number, outputs: number): ParameterCount {
  const layer: Layer = { name: 'layer', kind: 'linear', in: inputs, out: outputs, hasBias: false };
  const { schema, count: counts } = METHODS[method];
  return counts(layer, schema.parse(fields) as CommonConfig);
}

/** Most butterfly factors of blocks of b that so many inputs allow. */
export function mostFactorsOn(inputs: number, block: number): number {
  const isLegal = (factors: number) =>
    refusal({ method: 'boft', dimension: inputs, block, factors, shared: false }) === null;
  let most = 1;
  while (isLegal(most + 1)) most++;
  return most;
}

const times = (value: number, of: number): string => fixed(value / of, value / of < 10 ? 2 : 1);

/** The last step of each page. */
export function CostStep(
  props: Entry & {
    readonly method: OwnMethod;
    readonly intro: ReactNode;
    /** The controls of the method's own size. */
    readonly children: ReactNode;
  },
) {
  const { intro, method, fields, children } = props;
  return (
    <Step title={say`5. What it costs`}>
      <p>{intro}</p>
      <p>
        {rich`Trained numbers of a layer that have an effect, and beside them those of LoRA, by its ${<Term of="rank" />} ${<Sym name="r">r</Sym>}:`}
      </p>
      <Formula source={countsOf(method, METHODS[method].title)} />
      <div className="lab-controls">
        <LabControl name="inputs" label={say`Inputs of the layer`} />
        <LabControl name="outputs" label={say`Outputs of the layer`} />
        {children}
        <LabControl name="rank" label={say`LoRA’s rank r`} />
      </div>
      <CostFigure method={method} fields={fields} />
    </Step>
  );
}

function CostFigure({ method, fields }: Entry) {
  const lab = useLab();
  const [inputs, outputs, rank] = [
    Number(lab.text('inputs')),
    Number(lab.text('outputs')),
    lab.number('rank'),
  ];
  const methods: readonly Entry[] = [
    { method, fields },
    { method: 'lora', fields: { r: rank } },
  ];
  const costs = useAnswer({ inputs, outputs, rows: ROWS, methods }, (question) =>
    labWorker().costs(question),
  );
  return (
    <Pending of={costs}>
      {({ question, answer: [alone, ...each] }) => {
        const rows = question.methods.map((entry, i) => ({
          name: METHODS[entry.method].title,
          counted: countedOf(entry, question.inputs, question.outputs),
          cost: each[i]!,
        }));
        return <Drawn alone={alone!} rows={rows} inputs={question.inputs} outputs={question.outputs} />;
      }}
    </Pending>
  );
}

function Drawn(props: {
  readonly alone: Cost;
  readonly rows: readonly CostRow[];
  readonly inputs: number;
  readonly outputs: number;
}) {
  const { alone, rows, inputs, outputs } = props;
  const all = inputs * outputs;
  const [own, lora] = rows as [CostRow, CostRow];
  useShown({ trained: own.counted.free, lora: lora.counted.free, work: own.cost.step / alone.step });
  return (
    <LabFigure
      id="costs"
      title={say`Trained numbers and multiply-adds`}
      sentence={
        <Sentences>
          {say`On a layer of ${whole(inputs)} inputs and ${whole(outputs)} outputs ${own.name} trains ${whole(own.counted.free)} numbers, ${percent(own.counted.free / all)} of its ${whole(all)} weights; LoRA trains ${whole(lora.counted.free)}.`}
          {say`A training step takes ${times(own.cost.step, alone.step)} times the multiply-adds of the layer alone, with LoRA ${times(lora.cost.step, alone.step)} times.`}
          {rich`After the ${<Term of="merge" />} into the weights, neither costs anything.`}
        </Sentences>
      }
      how={rich`How each number was got: trained numbers as the method counts them; those that have an effect leave out what is stored twice or always zero. ${<Term of="multiply-add">{say`Multiply-adds`}</Term>} are counted on the graphs that the ${<Term of="engine" />} would run, as its forecast counts them, for ${ROWS} rows of ${<Term of="activation">{say`activations`}</Term>}; a step is forwards and backwards, with the gradient of the layer’s input. Sums and products number by number are not counted.`}
      table={{
        head: [
          say`Method`,
          say`Trained numbers`,
          say`with an effect`,
          say`In a file`,
          say`Multiply-adds forwards`,
          say`of a step`,
        ],
        rows: [
          [say`the layer alone`, whole(0), whole(0), bytes(0), count(alone.forward), count(alone.step)],
          ...rows.map(({ name, counted, cost }) => [
            name,
            whole(counted.stored),
            whole(counted.free),
            bytes(counted.stored * BYTES),
            count(cost.forward),
            count(cost.step),
          ]),
        ],
      }}
    >
      <Bars
        title={say`Trained numbers with an effect`}
        rows={rows.map(({ name, counted }) => ({ name, value: counted.free, text: whole(counted.free) }))}
      />
      <Bars
        title={say`Multiply-adds of a training step on ${ROWS} rows`}
        rows={[
          { name: say`the layer alone`, value: alone.step, text: count(alone.step) },
          ...rows.map(({ name, cost }) => ({ name, value: cost.step, text: count(cost.step) })),
        ]}
      />
    </LabFigure>
  );
}

/** Bars from zero; the longest is full. */
function Bars(props: {
  readonly title: string;
  readonly rows: readonly { readonly name: string; readonly value: number; readonly text: string }[];
}) {
  const full = Math.max(...props.rows.map(({ value }) => value));
  return (
    <div className="lab-bars" aria-hidden="true">
      <p>{props.title}</p>
      {props.rows.map(({ name, value, text }) => (
        <div key={name}>
          <span>{name}</span>
          <span className="lab-bar">
            <span style={{ width: `${((100 * value) / full).toFixed(2)}%` }} />
          </span>
          <span>{text}</span>
        </div>
      ))}
    </div>
  );
}
