/** Model and data: what comes with the page, files from this machine, the Hub, and what is written or drawn here. */
import { useId } from 'react';
import { useStore } from 'zustand';
import { say } from '../../../common.ts';
import type { ModelSource } from '../../../protocol.ts';
import { bytes, count, examplesText, whole } from '../../format.ts';
import { Segments } from '../../parts/Controls.tsx';
import { ErrorText } from '../../parts/Errors.tsx';
import { Facts } from '../../parts/Facts.tsx';
import { Locked } from '../../parts/Locked.tsx';
import { later } from '../../parts/later.tsx';
import { Measured } from '../../parts/Measured.tsx';
import { Picker } from '../../parts/Picker.tsx';
import { Tip } from '../../parts/Tip.tsx';
import { useHeard } from '../../parts/useHeard.ts';
import { Waiting } from '../../parts/Waiting.tsx';
import { useChoice, useHold, usePage, useRun } from '../../usePage.ts';
import { withPrecision } from './choice.ts';
import { Section } from './Section.tsx';
import { MODELS } from './settings.ts';

const DataPreview = later('DataPreview', () => import('./DataPreview.tsx'));
const Drawings = later('Drawings', () => import('./Drawings.tsx'));
const FileDrop = later('FileDrop', () => import('../../parts/FileDrop.tsx'));
const Hub = later('Hub', () => import('../hub/Hub.tsx'));

const MODEL_DETAILS = (): Readonly<Record<string, string>> => ({
  'glyphs-vit': say`A vision transformer that reads digits on a blackboard; module names of Hugging Face’s Dinov2`,
  'tales-gpt': say`A decoder that writes tales, letters and scenes; module names of Hugging Face’s Llama`,
  hub: say`By its name on the Hub, or any https address`,
  own: say`An .onnx file from your machine`,
});

export function ModelSection() {
  const page = usePage();
  const model = useChoice((s) => s.settings.model);
  const report = useChoice((s) => s.report);
  const precision = useChoice((s) => s.model?.precision ?? 'file');
  const error = useChoice((s) => s.reportError);
  const isReading = useChoice((s) => s.isReading);
  const files = useChoice((s) => s.inputs.modelFiles);
  const isWaiting = useChoice((s) => s.model === null);
  const hold = useHold('model');
  const why = useId();
  if (hold === 'hidden') return null;
  const items = Object.entries(MODELS).map(([id, { title }]) => ({
    id,
    title: title(),
    detail: MODEL_DETAILS()[id]!,
  }));
  const summary = report === null ? MODELS[model]!.title() : `${report.name} · ${count(report.parameters)}`;
  return (
    <Section name="model" title={say`Model`} summary={summary} isWaiting={isWaiting}>
      <Picker
        label={say`Model`}
        value={model}
        items={items}
        isDisabled={hold !== null}
        describedBy={hold === null ? undefined : why}
        onChange={(id) => page.choose({ model: id })}
      />
      {hold === null ? null : <Locked id={why} />}
      {model === 'own' ? (
        <FileDrop
          label={say`Drop an .onnx file and the files beside it, or their folder`}
          hint={say`config.json, tokenizer.json and external data belong to it. Nothing leaves this tab.`}
          accepts={['.onnx', '.json', '.jinja', '.data', '.bin', '.onnx_data']}
          files={files}
          onFiles={page.openModel}
          onClear={() => page.input({ modelFiles: [] })}
        />
      ) : (
        <p className="hint">{MODEL_DETAILS()[model]}.</p>
      )}
      {model === 'hub' ? <Hub kind="model" /> : null}
      {isReading ? (
        <p className="hint">
          <Waiting what={say`Reading the model`} way={say`another choice ends it`} />
        </p>
      ) : null}
      {error === null ? null : <ErrorText report={error} />}
      {model === 'own' || model === 'hub' || precision !== 'file' ? <PrecisionOfWeights /> : null}
      {report === null ? null : (
        <Facts
          data-testid="model-facts"
          of={{
            [say`Family`]: report.family,
            [say`Parameters`]: whole(report.parameters),
            [say`File`]: say`${bytes(report.bytes)}, opset ${report.opset}`,
            [say`Modules`]: (
              <>
                {report.modules.length} <Measured of="model-facts" about={say`facts of the model`} />
              </>
            ),
          }}
        />
      )}
    </Section>
  );
}

type Precision = NonNullable<ModelSource['precision']>;

const PRECISIONS = (): readonly { readonly id: Precision; readonly title: string }[] => [
  { id: 'file', title: say`as the file` },
  { id: 'f16', title: say`16 bits` },
  { id: 'q4', title: say`4 bits` },
];

/** What a person's own model is loaded as: the file's numbers, 16 bits, or 4; with the bytes that the forecast finds for each. */
function PrecisionOfWeights() {
  const page = usePage();
  const precision = useChoice((s) => s.model?.precision ?? 'file');
  const report = useStore(page.forecast.view, (s) => s.report);
  return (
    <div className="stack precision">
      <span className="field-label">
        {say`Weights are kept`}{' '}
        <Tip about={say`precision`}>
          {say`Frozen weights are rounded while loading and stay so on the GPU; the adapter, norms and losses are in 32 bits. The merged file holds the rounded weights.`}
        </Tip>
      </span>
      <Segments
        label={say`Precision of the weights`}
        value={precision}
        items={PRECISIONS().map(({ id, title }) => {
          const size = report?.weightBytes[id] ?? null;
          return { id, title, detail: size === null ? undefined : bytes(size) };
        })}
        onChange={(id) => page.choice.setState(({ model }) => ({ model: withPrecision(model, id) }))}
      />
      {report === null ? (
        <p className="hint">{say`What each takes on the GPU stands here once a forecast was made, beside Train.`}</p>
      ) : null}
    </div>
  );
}

const DATA = (): Readonly<Record<string, { readonly title: string; readonly detail: string }>> => ({
  letters: {
    title: 'letters',
    detail: say`Small capital letters in chalk on a grey pavement; the digits were large, on a blackboard`,
  },
  'wild-digits': { title: 'wild-digits', detail: say`Digits in a style the model never saw` },
  recipes: { title: 'recipes', detail: say`Short recipes: words of the tales in sentences of their own` },
  hub: { title: say`From the Hub or an address`, detail: say`A dataset by its name, or any https address` },
  drawings: { title: say`Your drawings`, detail: say`Name classes and draw a few of each, right here` },
  text: { title: say`Your text`, detail: say`Paste or type anything` },
  files: {
    title: say`Your files`,
    detail: say`Text, CSV, TSV, JSON, JSONL, Parquet, CoNLL, pictures by class in a folder or .zip, IDX`,
  },
});

/** Endings of data; the last is that of IDX files without a dot. */
const ACCEPTS = [
  ...['.txt', '.md', '.text', '.csv', '.tsv', '.json', '.jsonl', '.ndjson', '.parquet'],
  ...['.conll', '.bio', '.iob', '.iob2', '.zip', '.gz'],
  ...['.png', '.jpg', '.jpeg', '.webp', '.gif', '.bmp', '.idx', '.idx1-ubyte', '.idx3-ubyte', 'ubyte'],
];

export function DataSection() {
  const page = usePage();
  const now = useHeard();
  const { model, data } = useChoice((s) => s.settings);
  const files = useChoice((s) => s.inputs.dataFiles);
  const text = useChoice((s) => s.inputs.text);
  const report = useRun((s) => s.open?.data ?? null);
  const hasPreview = useStore(page.data.view, (s) => s.preview !== null || s.error !== null);
  const isWaiting = useChoice((s) => s.data === null);
  const hold = useHold('data');
  const why = useId();
  if (hold === 'hidden') return null;
  const items = MODELS[model]!.data.map((id) => ({ id, ...DATA()[id]! }));
  return (
    <Section name="data" title={say`Data`} summary={DATA()[data]!.title} isWaiting={isWaiting}>
      <Picker
        label={say`Data`}
        value={data}
        items={items}
        isDisabled={hold !== null}
        describedBy={hold === null ? undefined : why}
        onChange={(id) => page.choose({ data: id })}
      />
      {hold === null ? null : <Locked id={why} />}
      {data === 'files' ? (
        <FileDrop
          label={say`Drop your data`}
          hint={say`Text, CSV, TSV, JSON, JSONL, Parquet, CoNLL; pictures in a folder or .zip with a folder for each class, or IDX. A part is held aside and only that part is scored. Nothing leaves this tab.`}
          accepts={ACCEPTS}
          files={files}
          onFiles={(dropped) => page.input({ dataFiles: [...files, ...dropped] })}
          onClear={() => page.input({ dataFiles: [] })}
        />
      ) : (
        <p className="hint">{DATA()[data]!.detail}.</p>
      )}
      {data === 'hub' ? <Hub kind="dataset" /> : null}
      {data === 'text' ? (
        <label className="field">
          <span className="field-label">{say`Text to learn from`}</span>
          <textarea
            className="box"
            rows={7}
            placeholder={say`Paste a few pages. The last part is held aside and only that part is scored.`}
            value={text}
            onChange={(event) => page.input({ text: event.target.value })}
          />
          <span className="hint">{say`${whole(text.length)} characters`}</span>
        </label>
      ) : null}
      {data === 'drawings' ? <Drawings /> : null}
      <DataPreview />
      {report === null || hasPreview ? null : (
        <Facts of={{ [say`In this run`]: examplesText(report) }}>
          {report.notes.map((note) => (
            <dd key={note} className="facts-wide">
              {now(note)}
            </dd>
          ))}
        </Facts>
      )}
    </Section>
  );
}
