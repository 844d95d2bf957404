/** Methods side by side: at one budget, on the chosen task, one after the other, in a table that says how each number was got. */
import { useMemo, useState } from 'react';
import { useStore } from 'zustand';
import { inEnglish, say } from '../../../common.ts';
import { METHODS, type MethodId } from '../../../methods.ts';
import {
  type MethodComparisonReport,
  type MethodRow,
  methodComparisonMarkdown,
  provenance,
  settingsText,
} from '../../../protocol.ts';
import { saveFile } from '../../exports.ts';
import { ago, bytes, fixed, methodTitle, metricText, scoredOn, scoreText, whole } from '../../format.ts';
import { Action } from '../../parts/Action.tsx';
import { Chart, type ChartSpec } from '../../parts/Chart.tsx';
import { Check, Fold, TextField } from '../../parts/Controls.tsx';
import { ErrorText } from '../../parts/Errors.tsx';
import { Block, Facts, Table, Warnings } from '../../parts/Facts.tsx';
import { Sentences } from '../../parts/Sentences.tsx';
import { Waiting } from '../../parts/Waiting.tsx';
import { useChoice, useDerived, usePage, useUi } from '../../usePage.ts';
import { type MethodComparisonView, methodComparisonCsv } from './methodComparison.ts';

/** Methods whose size can be solved for a budget; the others have the size that the modules give them. */
const OFFERED = Object.values(METHODS).filter(({ targets }) => targets === 'required');

export function Methods() {
  const { methodComparison } = usePage();
  const view = useStore(methodComparison.view);
  return (
    <>
      <p>{say`The same model, data, seed and steps for every method, each sized to keep about as many numbers. A run that is open is paused and left alone.`}</p>
      <Wishes view={view} />
      {view.error === null ? null : <ErrorText report={view.error} />}
      {view.rows.length > 0 ? <MethodTable view={view} /> : null}
      <Warnings
        of={view.refused.map(({ method, reason }) => say`${methodTitle(method)} takes no part: ${reason}`)}
      />
      {view.rows.length > 1 ? <MethodChart rows={view.rows} /> : null}
      {view.busy !== null || view.rows.length === 0 ? null : (
        <p className="row tools">
          <Action
            kind="link"
            text={say`save as CSV`}
            onPress={() =>
              saveFile(
                'methods.csv',
                inEnglish(() => methodComparisonCsv(view.rows)),
                'text/csv',
              )
            }
          />
          {view.report === null ? null : <Markdown of={view.report} />}
        </p>
      )}
    </>
  );
}

const Markdown = ({ of }: { readonly of: MethodComparisonReport }) => (
  <Action
    kind="link"
    text={say`save as Markdown`}
    onPress={() => saveFile('methods.md', methodComparisonMarkdown(of), 'text/markdown')}
  />
);

/** Which methods, at which size and for how long, and the button that compares them. */
function Wishes({ view }: { readonly view: MethodComparisonView }) {
  const { methodComparison } = usePage();
  const { training } = useChoice((s) => s.settings);
  const isKnown = useUi((s) => s.gpu !== null);
  const known = useDerived().count?.adapter || null;
  const [chosen, setChosen] = useState<ReadonlySet<string>>(
    () => new Set(['oft', 'boft', 'fourierft', 'lora']),
  );
  const [budgetText, setBudget] = useState<string | null>(null);
  const [stepsText, setSteps] = useState<string | null>(null);
  const budget = Number(budgetText ?? known ?? Number.NaN);
  const steps = Number(stepsText ?? training.steps);
  const isAsked = Number.isInteger(budget) && budget > 0 && Number.isInteger(steps) && steps > 0;
  const methods = useMemo(
    () => OFFERED.filter(({ id }) => chosen.has(id)).map(({ id }) => id as MethodId),
    [chosen],
  );
  const toggle = (id: string, isOn: boolean) =>
    setChosen((old) => new Set(isOn ? [...old, id] : [...old].filter((other) => other !== id)));
  return (
    <>
      <fieldset className="row method-boxes" disabled={view.busy !== null}>
        <legend className="field-label">{say`Methods`}</legend>
        {OFFERED.map(({ id }) => (
          <Check key={id} isOn={chosen.has(id)} onChange={(isOn) => toggle(id, isOn)}>
            {methodTitle(id as MethodId)}
          </Check>
        ))}
      </fieldset>
      <div className="combine-fields">
        <TextField
          label={say`Numbers an adapter may keep`}
          hint={known === null ? say`the present settings have no adapter` : say`now chosen: ${whole(known)}`}
          isNumber
          inputMode="numeric"
          value={budgetText ?? known ?? ''}
          disabled={view.busy !== null}
          onText={setBudget}
        />
        <TextField
          label={say`Steps each`}
          hint={say`of ${training.batchSize} examples`}
          isNumber
          inputMode="numeric"
          value={stepsText ?? training.steps}
          disabled={view.busy !== null}
          onText={setSteps}
        />
      </div>
      <p className="row tools">
        {view.busy !== null ? (
          <Action text={say`Stop`} onPress={() => void methodComparison.stop()} />
        ) : (
          <Action
            kind="strong"
            text={say`Compare methods`}
            isDisabled={!isKnown || !isAsked || methods.length === 0}
            onPress={() => void methodComparison.start({ methods, budget, steps })}
          />
        )}
        <span className="hint" aria-live="polite">
          {view.busy !== null ? (
            <Waiting what={stepText(view)} news={view.now} way={say`Stop ends it`} />
          ) : null}
        </span>
      </p>
    </>
  );
}

/** Which step of which method is being trained. */
const stepText = ({ now }: MethodComparisonView): string =>
  now === null ? say`preparing` : say`${methodTitle(now.method)}: step ${now.step} of ${now.total}`;

const seconds = (value: number | null): string =>
  value === null ? '–' : value < 1 ? `${fixed(value * 1000, 0)} ms` : `${fixed(value, 2)} s`;

/** The sentences of the trainer by the column they are about. */
const TITLES = (): Readonly<Record<string, string>> => ({
  settings: say`Size`,
  adapter: say`Adapter`,
  stored: say`Stored`,
  free: say`Free`,
  before: say`Before`,
  after: say`After`,
  own: say`Own task`,
  secondsPerStep: say`Step`,
  peakBytes: say`Memory`,
  dispatchesPerStep: say`Dispatches`,
});

function titleOf({ about, report, keptAt }: MethodComparisonView): string {
  if (about === null) return '';
  const { model, data } = about;
  const isCutOff = report === null ? keptAt !== null : !report.isWhole;
  return isCutOff ? say`${model} on ${data}, stopped early` : say`${model} on ${data}`;
}

/** The rows so far, and how each column was got. */
function MethodTable({ view }: { readonly view: MethodComparisonView }) {
  const { rows, report } = view;
  const first = rows[0]!;
  return (
    <Block
      title={titleOf(view)}
      label={say`Methods compared`}
      beside={
        <span className="hint">
          <Sentences>
            {say`Held-out ${metricText(first.metric)}, ${scoredOn(first)}, ${whole(first.steps)} steps.`}
            {view.keptAt === null ? null : say`Kept from before, ${ago(Date.now() - view.keptAt)}.`}
          </Sentences>
        </span>
      }
    >
      <Table
        words={[say`Method`]}
        numbers={[
          say`Adapter`,
          say`Free`,
          say`Before`,
          say`After`,
          say`Own task`,
          say`Step`,
          say`Memory`,
          say`Dispatches`,
        ]}
      >
        {rows.map((row) => (
          <tr key={row.method}>
            <th scope="row">
              {methodTitle(row.method)}
              <span className="method-size fine">{settingsText(row)}</span>
            </th>
            <td className="number">{whole(row.adapter)}</td>
            <td className="number">{whole(row.trainable.free)}</td>
            <td className="number">{scoreText({ metric: row.metric, value: row.before })}</td>
            <td className="number">
              <b>{scoreText({ metric: row.metric, value: row.after })}</b>
            </td>
            <td className="number">
              {row.own === null ? '–' : `${scoreText(row.own.before)} → ${scoreText(row.own.after)}`}
            </td>
            <td className="number">{seconds(row.secondsPerStep)}</td>
            <td className="number">{row.peakBytes === null ? '–' : bytes(row.peakBytes)}</td>
            <td className="number">{row.dispatchesPerStep === null ? '–' : whole(row.dispatchesPerStep)}</td>
          </tr>
        ))}
      </Table>
      {report === null ? null : (
        <Fold summary={say`How each number was got`}>
          <Facts
            of={Object.fromEntries(
              Object.entries(provenance(report.ranOn)).map(([column, words]) => [
                TITLES()[column] ?? column,
                words,
              ]),
            )}
          />
        </Fold>
      )}
    </Block>
  );
}

const COLORS = 6;

/** Quality against the numbers that train: one point a method. */
function MethodChart({ rows }: { readonly rows: readonly MethodRow[] }) {
  const spec = useMemo(
    () => (): ChartSpec => ({
      lines: rows.map((row, i) => ({
        name: methodTitle(row.method),
        x: [row.trainable.free],
        y: [row.after],
        color: `--line-${i % COLORS}`,
        width: 0,
        hasMarkers: true,
        text: methodTitle(row.method),
      })),
      xTitle: say`free parameters`,
      yTitle: rows[0] === undefined ? '' : say`held-out ${metricText(rows[0].metric)}`,
      isShare: rows[0]?.metric === 'accuracy',
      isLog: false,
    }),
    [rows],
  );
  return (
    <Block title={say`Quality by free parameters`} label={say`Quality by parameters`}>
      <Chart
        spec={spec}
        sources={NONE}
        name={say`Quality by parameters`}
        label={say`Quality by parameters, figures in the table above`}
        height={220}
      />
    </Block>
  );
}

const NONE = [] as const;
