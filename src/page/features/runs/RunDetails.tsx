/** What can be done with the run that is pointed out: named, noted, its settings used again, deleted. */
import { useEffect, useState } from 'react';
import { useStore } from 'zustand';
import { language, say } from '../../../common.ts';
import { ENGINE_TITLES } from '../../../protocol.ts';
import { ago, whole } from '../../format.ts';
import type { Page } from '../../page.ts';
import { Action } from '../../parts/Action.tsx';
import { TextField } from '../../parts/Controls.tsx';
import { Block, Facts } from '../../parts/Facts.tsx';
import { usePage, useRun } from '../../usePage.ts';
import { chosenBy, isLeft } from '../setup/holds.ts';
import { takeLink } from '../setup/link.ts';
import { ELSEWHERE, type RunRecord } from '../training/runs.ts';
import type { RunBook } from './book.ts';
import { describeRun } from './changes.ts';
import { toldOf } from './keeping.ts';
import { NAME_LETTERS, NOTE_LETTERS } from './kept.ts';
import type { RunRow } from './rows.ts';

export function RunDetails({ book, rows }: { readonly book: RunBook; readonly rows: readonly RunRow[] }) {
  const selected = useStore(book.view, (s) => s.selected);
  const row = rows.find(({ run }) => run.key === selected);
  if (row === undefined || row.run.id === ELSEWHERE)
    return (
      <p className="hint">{say`Press a run’s name to note something about it, or to use its settings again.`}</p>
    );
  return <Details key={row.run.key} book={book} row={row} />;
}

/** Chooses again what a run was set to. */
function takeSettings(page: Page, { settings, outcome }: RunRecord): void {
  if (isLeft(page, outcome === null ? { settings } : chosenBy(outcome.link))) return;
  page.choice.setState({ startFrom: null });
  if (outcome === null) page.setSettings(settings);
  else takeLink(page, outcome.link);
  page.ui.setState({ panel: 'choose' });
}

function Details({ book, row: { run, figures } }: { readonly book: RunBook; readonly row: RunRow }) {
  const page = usePage();
  const isCurrent = useRun((s) => s.current?.id === run.id);
  return (
    <Block title={run.name} label={say`The run that is pointed out`} className="run-details">
      <Facts
        of={{
          [say`What it is`]: describeRun(toldOf(run)),
          [say`Model`]: figures?.model ?? null,
          [say`Data`]: figures?.data ?? null,
          [say`Computed by`]: figures && `${ENGINE_TITLES[figures.engine]}, ${figures.machine}`,
          [say`Parameters`]: figures && say`${whole(figures.free)} free, ${whole(figures.stored)} stored`,
          [say`Begun`]: `${new Date(run.startedAt).toLocaleString(language().locale, { dateStyle: 'medium', timeStyle: 'short' })} (${ago(Date.now() - run.startedAt)})`,
        }}
      />
      <div className="run-words">
        <Kept
          label={say`Name`}
          value={run.name}
          most={NAME_LETTERS}
          onKeep={(name) => book.rename(run.key, name)}
        />
        <Kept
          label={say`Note`}
          value={run.note}
          most={NOTE_LETTERS}
          onKeep={(note) => book.note(run.key, note)}
        />
      </div>
      <p className="row tools">
        <Action text={say`Use these settings`} onPress={() => takeSettings(page, run)} />
        <Action
          icon="trash"
          text={say`Delete ${run.name}`}
          isDisabled={isCurrent}
          onPress={() => void book.remove([run.key])}
        />
        {isCurrent ? <span className="hint">{say`Reset ends the run; then it can be deleted.`}</span> : null}
      </p>
    </Block>
  );
}

/** A box whose words are kept when it is left, or Enter is pressed. */
function Kept(props: {
  readonly label: string;
  readonly value: string;
  readonly most: number;
  readonly onKeep: (text: string) => void;
}) {
  const { label, value, most, onKeep } = props;
  const [text, setText] = useState(value);
  useEffect(() => setText(value), [value]);
  const keep = () => {
    if (text !== value) onKeep(text);
  };
  return (
    <TextField
      label={label}
      value={text}
      maxLength={most}
      onText={setText}
      onBlur={keep}
      onKeyDown={(event) => {
        if (event.key === 'Enter') keep();
      }}
    />
  );
}
