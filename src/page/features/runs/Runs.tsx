/** The tab of all runs: which there are and how they differ, their curves over each other, and what quality costs. */
import { use, useMemo } from 'react';
import { FileTrigger } from 'react-aria-components';
import { useStore } from 'zustand';
import { asPapilioError, say, within } from '../../../common.ts';
import { saveFile } from '../../exports.ts';
import { bytes, whole } from '../../format.ts';
import { Action } from '../../parts/Action.tsx';
import { Warnings } from '../../parts/Facts.tsx';
import { Measured } from '../../parts/Measured.tsx';
import { promiseText } from '../../room.ts';
import { usePage, useRun, useSeries } from '../../usePage.ts';
import type { RunBook } from './book.ts';
import { Curves } from './Curves.tsx';
import { outcomeNow } from './keeping.ts';
import { FEW_POINTS, MOST_POINTS } from './kept.ts';
import { RunDetails } from './RunDetails.tsx';
import { RunsTable } from './RunsTable.tsx';
import type { RunRow } from './rows.ts';
import { MOST_RUNS } from './runsFile.ts';
import { SweepPanel } from './SweepPanel.tsx';
import { WHOLE_CURVES } from './storage.ts';
import { Trade } from './Trade.tsx';
import './runs.css';
import { Sentences } from '../../parts/Sentences.tsx';

export function Runs() {
  const page = usePage();
  const { book, sweeper, meter } = use(page.keptRuns());
  const rows = useRows();
  const { problem, said, deleted } = useStore(book.view);
  return (
    <>
      {rows.length === 0 ? (
        <p className="empty">{say`Every run that you train is kept here, in this browser: its settings, its curves and what it came to, to set beside the next.`}</p>
      ) : null}
      <Warnings of={problem === null ? [] : [problem]} role="alert" />
      {said === null ? null : (
        <p className="row runs-said" role="status" data-testid="runs-said">
          {said}
          {deleted.length === 0 ? null : (
            <Action kind="link" text={say`undo the deletion`} onPress={() => void book.undoRemove()} />
          )}
          <Action kind="link" text={say`close`} onPress={() => book.forgetSaid()} />
        </p>
      )}
      {rows.length === 0 ? null : (
        <>
          <RunsTable book={book} rows={rows} />
          <RunDetails book={book} rows={rows} />
          <Curves book={book} />
          <Trade book={book} meter={meter} rows={rows} />
        </>
      )}
      <SweepPanel sweeper={sweeper} rows={rows} />
      <Files book={book} count={rows.length} />
    </>
  );
}

/** All runs with their figures as they are now. */
function useRows(): readonly RunRow[] {
  const page = usePage();
  const runs = useRun((s) => s.runs);
  const current = useRun((s) => s.current);
  useSeries(current?.series ?? null);
  const now = current === null ? null : outcomeNow(page.run.getState());
  const steps = now?.figures.steps ?? 0;
  const evals = current?.series.evals.length ?? 0;
  const kept = useMemo(() => runs.map((run) => ({ run, figures: run.outcome?.figures ?? null })), [runs]);
  // biome-ignore lint/correctness/useExhaustiveDependencies: the figures of the run under way follow from its steps and evaluations.
  return useMemo(
    () => kept.map((row) => (row.run.id === current?.id && now ? { ...row, figures: now.figures } : row)),
    [kept, current, steps, evals],
  );
}

/** Everything as a file, a file in, and what the browser holds. */
function Files({ book, count }: { readonly book: RunBook; readonly count: number }) {
  const { quota, isPromised } = useStore(usePage().room.view);
  const open = async (file: File): Promise<void> => {
    try {
      // Before it is in memory.
      within('runsFileBytes', file.size, file.name);
      await book.open(new Uint8Array(await file.arrayBuffer()), file.name);
    } catch (error) {
      book.view.setState({ said: asPapilioError(error).message, deleted: [] });
    }
  };
  return (
    <p className="row tools runs-files">
      <Action
        icon="download"
        text={say`Save all runs`}
        isDisabled={count === 0}
        onPress={() =>
          void book.file().then((text) => saveFile('papilio-runs.json', text, 'application/json'))
        }
      />
      <FileTrigger
        acceptedFileTypes={['.json']}
        onSelect={(list) => {
          const [file] = list ?? [];
          if (file !== undefined) void open(file);
        }}
      >
        <Action text={say`Open a file of runs`} />
      </FileTrigger>
      {quota === null ? null : <Measured of="storage" about={say`storage of the browser`} />}
      <span className="hint" data-testid="quota">
        <Sentences>
          {quota === null
            ? ''
            : say`This browser holds ${bytes(quota.usedBytes)} of Papilio and would hold ${bytes(quota.totalBytes)}.`}
          {promiseText(isPromised)}
          {say`The newest ${MOST_RUNS} runs are kept, the curves of ${WHOLE_CURVES} in ${whole(MOST_POINTS)} points at most, those before in ${FEW_POINTS}.`}
        </Sentences>
      </span>
    </p>
  );
}
