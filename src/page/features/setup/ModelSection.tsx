/** The model: an embedded one, or files from this machine. */
import { lazy, Suspense } from 'react';
import { bytes, count, whole } from '../../../app/format.ts';
import { isMissing } from '../../../app/request.ts';
import { MODELS } from '../../../app/settings.ts';
import { ErrorText } from '../../parts/ErrorCard.tsx';
import { Picker } from '../../parts/Picker.tsx';
import { Waiting } from '../../parts/Waiting.tsx';
import { useChoice, usePage } from '../../usePage.ts';
import { Precision } from './Precision.tsx';
import { Section } from './Section.tsx';

const DETAILS: Readonly<Record<string, string>> = {
  'glyphs-vit': 'A vision transformer that reads digits; module names of Hugging Face’s Dinov2',
  'tales-gpt': 'A decoder that tells short tales; module names of Hugging Face’s Llama',
  hub: 'By its name on the Hub, or any https address',
  own: 'An .onnx file from your machine',
};

const HubSection = lazy(() =>
  import('../hub/HubSection.tsx').then(({ HubSection }) => ({ default: HubSection })),
);
const FileDrop = lazy(() =>
  import('../../parts/FileDrop.tsx').then(({ FileDrop }) => ({ default: FileDrop })),
);

export function ModelSection() {
  const page = usePage();
  const model = useChoice((s) => s.settings.model);
  const report = useChoice((s) => s.report);
  const precision = useChoice((s) => s.precision);
  const error = useChoice((s) => s.reportError);
  const isReading = useChoice((s) => s.isReading);
  const files = useChoice((s) => s.modelFiles);
  const isWaiting = useChoice((s) => isMissing('model', s));
  const items = Object.entries(MODELS).map(([id, { title }]) => ({ id, title, detail: DETAILS[id]! }));
  const summary = report === null ? MODELS[model]!.title : `${report.name} · ${count(report.parameters)}`;
  return (
    <Section name="model" title="Model" summary={summary} isWaiting={isWaiting}>
      <Picker label="Model" value={model} items={items} onChange={(id) => page.choose({ model: id })} />
      {model === 'own' ? (
        <Suspense fallback={null}>
          <FileDrop
            label="Drop an .onnx file and the files beside it, or their folder"
            hint="config.json, tokenizer.json and external data belong to it. Nothing leaves this tab."
            accepts={['.onnx', '.json', '.jinja', '.data', '.bin', '.onnx_data']}
            files={files}
            onFiles={(dropped) => void page.openModel(dropped)}
            onClear={() => {
              page.choice.setState({ modelFiles: [] });
              void page.openModel([]);
            }}
          />
        </Suspense>
      ) : (
        <p className="hint">{DETAILS[model]}.</p>
      )}
      {model === 'hub' ? (
        <Suspense fallback={null}>
          <HubSection kind="model" />
        </Suspense>
      ) : null}
      {isReading ? (
        <p className="hint">
          <Waiting what="Reading the model" way="another choice ends it" />
        </p>
      ) : null}
      {error === null ? null : <ErrorText report={error} />}
      {model === 'own' || model === 'hub' || precision !== 'file' ? <Precision /> : null}
      {report === null ? null : (
        <dl className="facts" data-testid="model-facts">
          <dt>Family</dt>
          <dd>{report.family}</dd>
          <dt>Parameters</dt>
          <dd>{whole(report.parameters)}</dd>
          <dt>File</dt>
          <dd>
            {bytes(report.bytes)}, opset {report.opset}
          </dd>
          <dt>Modules</dt>
          <dd>{report.modules.length}</dd>
        </dl>
      )}
    </Section>
  );
}
