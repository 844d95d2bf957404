/** The answer of a run that has ended to the question of its preset, and the runs that it is held against, each of which one press trains. */
import { useMemo } from 'react';
import { say } from '../../../common.ts';
import { Action } from '../../parts/Action.tsx';
import { Block, Table } from '../../parts/Facts.tsx';
import { Measured } from '../../parts/Measured.tsx';
import { useIsRecorded, usePage, useRun, useRunStore, useSeries } from '../../usePage.ts';
import { outcomeNow } from '../runs/keeping.ts';
import { type AnswerRow, answerOf, rowTexts } from './answer.ts';
import { trainAnew } from './trainAnew.ts';

/** @param props.isOfRecorded shown of the recorded run alone, else of the page's own alone: curves come before what nobody has asked for */
export function Answer({ isOfRecorded = false }: { readonly isOfRecorded?: boolean }) {
  const isRecorded = useIsRecorded();
  const store = useRunStore();
  const current = useRun((s) => s.current);
  const state = useRun((s) => s.state);
  const runs = useRun((s) => s.runs);
  const inspection = useRun((s) => s.inspection);
  const merged = useRun((s) => s.merged);
  useSeries(state === 'finished' ? (current?.series ?? null) : null);
  // biome-ignore lint/correctness/useExhaustiveDependencies: these are all that an answer is made of.
  const answer = useMemo(() => {
    const view = store.getState();
    return state === 'finished' ? answerOf(view, outcomeNow(view)?.figures ?? null) : null;
  }, [store, state, current?.series.version, runs, inspection, merged]);
  if (answer === null || isRecorded !== isOfRecorded) return null;
  const { rows, says } = answer;
  return (
    <Block
      className="answer"
      title={say`What the run answers`}
      beside={<Measured of="answer" about={say`the answer of the run`} />}
    >
      {says.map((text) => (
        <p key={text}>{text}</p>
      ))}
      {rows.length > 1 ? <Sides rows={rows} /> : null}
    </Block>
  );
}

function Sides({ rows }: { readonly rows: readonly AnswerRow[] }) {
  const page = usePage();
  const isRecorded = useIsRecorded();
  return (
    <Table words={[say`Run`]} numbers={[say`Free numbers`, say`Held out`]} buttons={say`To train it`}>
      {rows.map((row) => {
        const { numbers, score } = rowTexts(row);
        return (
          <tr key={row.title}>
            <th scope="row">
              {row.title}
              <span className="hint">
                {' '}
                {row.isOnScreen ? say`on screen` : row.run === null ? say`not trained yet` : row.run.name}
              </span>
            </th>
            <td className="number">{numbers}</td>
            <td className="number">{score}</td>
            <td>
              {row.run === null && !isRecorded ? (
                <Action text={say`Train it too`} onPress={() => trainAnew(page, row.part.settings)} />
              ) : null}
            </td>
          </tr>
        );
      })}
    </Table>
  );
}
