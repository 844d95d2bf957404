/** How the base model's own task goes with the adapter on, for every run of this page that was measured. */
import { useStore } from 'zustand';
import { say } from '../../../common.ts';
import { methodTitle, metricText, scoredOn, scoreText, whole } from '../../format.ts';
import { Action } from '../../parts/Action.tsx';
import { Fold } from '../../parts/Controls.tsx';
import { ErrorText } from '../../parts/Errors.tsx';
import { Block, Facts, Table } from '../../parts/Facts.tsx';
import { Waiting } from '../../parts/Waiting.tsx';
import { useRun } from '../../usePage.ts';
import type { Known, Weights } from './weights.ts';

type Measured = Known & { readonly own: NonNullable<Known['own']> };

/** What was measured on one data: that of the run on screen, or the last. */
export function alike(all: readonly Known[], run: number | null): readonly Measured[] {
  const rows = all.filter((row): row is Measured => row.own !== null);
  const main = rows.find((row) => row.run === run) ?? rows.at(-1);
  return rows.filter(({ own }) => own.data === main?.own.data);
}

export function OwnTask({ weights }: { readonly weights: Weights }) {
  const view = useStore(weights.known);
  const run = useRun((s) => s.current?.id ?? null);
  const rows = alike(view.rows, run);
  const isUnknown = view.rows.some((row) => row.run === run && row.own === null);
  const [first] = rows;
  return (
    <Block
      title={say`What the model still knows`}
      beside={
        view.busy === null ? (
          <Action text={say`Measure`} onPress={() => void weights.measure()} />
        ) : (
          <span className="hint">
            <Waiting what={say`The base’s own task is being scored`} />
          </span>
        )
      }
    >
      {view.error === null ? null : <ErrorText report={view.error} />}
      {isUnknown ? (
        <p
          className="hint"
          data-testid="own-unknown"
        >{say`What this model was made for is not known here, or its head no longer scores that: Papilio has the own task of the models that come with it.`}</p>
      ) : null}
      {first === undefined ? (
        isUnknown ? null : (
          <p className="hint">{say`The task that the base model was made for, on that task’s own held-out data: as it came, and with the adapter in its layers.`}</p>
        )
      ) : (
        <>
          <Table words={[say`Run`]} numbers={[say`Trains`, say`${first.own.data}, before`, say`now`]}>
            {rows.map((row) => (
              <tr key={row.run} data-testid="own-row">
                <th scope="row">
                  {methodTitle(row.method)}, {row.name}
                  <span className="fine">, {say`step ${whole(row.step)}`}</span>
                </th>
                <td className="number">{whole(row.trainable)}</td>
                <td className="number">{scoreText(row.own.before)}</td>
                <td className="number">
                  <b>{scoreText(row.own.after)}</b>
                </td>
              </tr>
            ))}
          </Table>
          <Fold summary={say`How each number was got`}>
            <Facts
              of={{
                [say`Before, now`]: say`measured by the engine of the run: held-out ${metricText(first.own.before.metric)} of ${first.own.data}, ${scoredOn(first.own.before)}, that neither training has seen.`,
                [say`Head`]: rows.some(({ own }) => own.head === 'trained')
                  ? say`where a run trained the head of the same classes, that one answers; else the base’s own head does, on what the adapted layers give it.`
                  : say`the base’s own head answers, on what the adapted layers give it. A new head for other classes has no part in it.`,
                [say`Trains`]: say`counted: free numbers of adapter, biases and modules that train whole.`,
              }}
            />
          </Fold>
        </>
      )}
    </Block>
  );
}
