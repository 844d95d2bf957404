/** The data: tasks that come with the model, text, files, or drawings made here. */
import { lazy, Suspense } from 'react';
import { useStore } from 'zustand';
import { whole } from '../../../app/format.ts';
import { isMissing } from '../../../app/request.ts';
import { MODELS } from '../../../app/settings.ts';
import { Picker } from '../../parts/Picker.tsx';
import { useChoice, usePage, useRun } from '../../usePage.ts';
import { Section } from './Section.tsx';

const Drawings = lazy(() => import('./Drawings.tsx').then(({ Drawings }) => ({ default: Drawings })));

const DATA: Readonly<Record<string, { readonly title: string; readonly detail: string }>> = {
  letters: { title: 'letters', detail: 'Capital letters in the hand that drew the digits' },
  'wild-digits': { title: 'wild-digits', detail: 'Digits in a style the model never saw' },
  recipes: { title: 'recipes', detail: 'Short recipes from a grammar of their own' },
  hub: { title: 'From the Hub or an address', detail: 'A dataset by its name, or any https address' },
  drawings: { title: 'Your drawings', detail: 'Name classes and draw a few of each, right here' },
  text: { title: 'Your text', detail: 'Paste or type anything' },
  files: {
    title: 'Your files',
    detail: 'Text, CSV, TSV, JSON, JSONL, Parquet, CoNLL, pictures by class in a folder or .zip, IDX',
  },
};

/** Endings of data; the last is that of IDX files without a dot. */
const ACCEPTS = [
  ...['.txt', '.md', '.text', '.csv', '.tsv', '.json', '.jsonl', '.ndjson', '.parquet'],
  ...['.conll', '.bio', '.iob', '.iob2', '.zip', '.gz'],
  ...['.png', '.jpg', '.jpeg', '.webp', '.gif', '.bmp', '.idx', '.idx1-ubyte', '.idx3-ubyte', 'ubyte'],
];

const DataPreview = lazy(() =>
  import('./DataPreview.tsx').then(({ DataPreview }) => ({ default: DataPreview })),
);
const HubSection = lazy(() =>
  import('../hub/HubSection.tsx').then(({ HubSection }) => ({ default: HubSection })),
);
const FileDrop = lazy(() =>
  import('../../parts/FileDrop.tsx').then(({ FileDrop }) => ({ default: FileDrop })),
);

export function DataSection() {
  const page = usePage();
  const { model, data } = useChoice((s) => s.settings);
  const files = useChoice((s) => s.dataFiles);
  const text = useChoice((s) => s.text);
  const report = useRun((s) => s.open?.data ?? null);
  const hasPreview = useStore(page.data.view, (s) => s.preview !== null || s.error !== null);
  const isWaiting = useChoice((s) => isMissing('data', s));
  const items = MODELS[model]!.data.map((id) => ({ id, ...DATA[id]! }));
  return (
    <Section name="data" title="Data" summary={DATA[data]!.title} isWaiting={isWaiting}>
      <Picker label="Data" value={data} items={items} onChange={(id) => page.choose({ data: id })} />
      {data === 'files' ? (
        <Suspense fallback={null}>
          <FileDrop
            label="Drop your data"
            hint="Text, CSV, TSV, JSON, JSONL, Parquet, CoNLL; pictures in a folder or .zip with a folder for each class, or IDX. A part is held aside and only that part is scored. Nothing leaves this tab."
            accepts={ACCEPTS}
            files={files}
            onFiles={(dropped) => page.choice.setState({ dataFiles: [...files, ...dropped] })}
            onClear={() => page.choice.setState({ dataFiles: [] })}
          />
        </Suspense>
      ) : (
        <p className="hint">{DATA[data]!.detail}.</p>
      )}
      {data === 'hub' ? (
        <Suspense fallback={null}>
          <HubSection kind="dataset" />
        </Suspense>
      ) : null}
      {data === 'text' ? (
        <label className="field">
          <span className="field-label">Text to learn from</span>
          <textarea
            className="box text-area"
            rows={7}
            placeholder="Paste a few pages. The last part is held aside and only that part is scored."
            value={text}
            onChange={(event) => page.choice.setState({ text: event.target.value })}
          />
          <span className="hint">{whole(text.length)} characters</span>
        </label>
      ) : null}
      {data === 'drawings' ? (
        <Suspense fallback={null}>
          <Drawings />
        </Suspense>
      ) : null}
      <Suspense fallback={null}>
        <DataPreview />
      </Suspense>
      {report === null || hasPreview ? null : (
        <dl className="facts">
          <dt>In this run</dt>
          <dd>
            {whole(report.trainExamples)} to learn from, {whole(report.heldExamples)} held aside
          </dd>
          {report.notes.map((note) => (
            <dd key={note} className="facts-wide">
              {note}
            </dd>
          ))}
        </dl>
      )}
    </Section>
  );
}
