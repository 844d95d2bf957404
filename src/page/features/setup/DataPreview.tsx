/** The data as it will be trained on: what was found, which column is what, and the first examples with the part that is learnt. */
import { useEffect } from 'react';
import { useStore } from 'zustand';
import { columnRows, type Role, rolesIn, tasksIn } from '../../../app/data.ts';
import { whole } from '../../../app/format.ts';
import type { DataPreview as Preview, Task } from '../../../training/protocol.ts';
import { ErrorText } from '../../parts/ErrorCard.tsx';
import { Picker } from '../../parts/Picker.tsx';
import { Silence, useSilence, Waiting } from '../../parts/Waiting.tsx';
import { useChoice, usePage } from '../../usePage.ts';
import { Columns } from './Columns.tsx';
import { Examples } from './Examples.tsx';

const TASKS: Readonly<Record<Task, string>> = {
  'text-classification': 'A class for each text',
  regression: 'A number for each text',
  'token-classification': 'A tag for each word',
  'masked-lm': 'Hidden words',
  'causal-lm': 'The next word',
  'image-classification': 'A class for each picture',
};

const PADDING = [
  {
    id: 'length',
    title: 'by length',
    detail: 'Examples of about the same length share a batch: less to compute',
  },
  { id: 'longest', title: 'to the longest', detail: 'Every batch is as long as the longest example' },
];

const WAY = 'another choice of model or data ends it';

export function DataPreview() {
  const page = usePage();
  const view = useStore(page.data.view);
  const hasModel = useChoice((s) => s.report !== null);
  useEffect(() => page.data.watch(), [page]);
  const { preview, error, isBusy } = view;
  const { task, tasks } = tasksIn(view);
  const silence = useSilence(isBusy, isBusy);
  if (preview === null && error === null)
    return isBusy ? (
      <p className="hint">
        <Waiting what="Reading the data" way={WAY} />
      </p>
    ) : hasModel ? null : (
      <p className="hint">
        The preview appears when a model is chosen, since the model cuts the text into tokens.
      </p>
    );
  return (
    <section className="data-preview" aria-label="Preview of the data" aria-busy={isBusy}>
      {silence === 0 ? null : (
        <p className="hint">
          Reading the data again …
          <Silence seconds={silence} way={WAY} />
        </p>
      )}
      {error === null ? null : <ErrorText report={error} />}
      {task !== null && tasks.length > 1 ? (
        <Picker
          label="Task"
          value={task}
          items={tasks.map((id) => ({ id, title: TASKS[id] }))}
          onChange={(id) => page.data.setTask(id as Task)}
        />
      ) : null}
      <ColumnsOf />
      {preview === null ? null : (
        <>
          <Found preview={preview} hasTask={tasks.length < 2} />
          <Padding preview={preview} />
          <Examples preview={preview} />
        </>
      )}
    </section>
  );
}

function ColumnsOf() {
  const page = usePage();
  const view = useStore(page.data.view);
  const mapping = useChoice((s) => s.dataOptions.mapping);
  const rows = columnRows(view, mapping);
  if (rows.length === 0) return null;
  return (
    <Columns
      view={view}
      rows={rows}
      roles={rolesIn(view)}
      onChange={(column: string, role: Role | null) => page.data.setColumn(column, role)}
      onHeader={(hasHeader) => page.data.setHeader(hasHeader)}
    />
  );
}

function Found({ preview, hasTask }: { readonly preview: Preview; readonly hasTask: boolean }) {
  const { report, task } = preview;
  return (
    <>
      <dl className="facts">
        {hasTask ? (
          <>
            <dt>Task</dt>
            <dd>{TASKS[task]}</dd>
          </>
        ) : null}
        <dt>Examples</dt>
        <dd>
          {whole(report.trainExamples)} to learn from, {whole(report.heldExamples)} held aside
        </dd>
      </dl>
      <ul className="data-notes">
        {report.notes.map((note) => (
          <li key={note}>{note}</li>
        ))}
      </ul>
    </>
  );
}

function Padding({ preview }: { readonly preview: Preview }) {
  const page = usePage();
  const padding = useChoice((s) => s.dataOptions.padding ?? 'length');
  const { kind } = preview.report;
  if (kind === 'image') return null;
  if (kind === 'text' || kind === 'masked-text')
    return (
      <p className="hint">
        Texts are packed: one follows the other, and every window is full, so nothing is padded.
      </p>
    );
  return (
    <Picker
      label="Padding"
      value={padding}
      items={PADDING}
      onChange={(id) => page.data.setPadding(id as typeof padding)}
    />
  );
}
