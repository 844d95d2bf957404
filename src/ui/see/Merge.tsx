/** Merge into the ONNX file, check it against onnxruntime, take everything away. */
import { Button } from 'react-aria-components';
import { metricsCsv, pythonSnippet, runJson, saveFile } from '../../app/exports.ts';
import { bytes } from '../../app/format.ts';
import type { MergeResult } from '../../app/stores.ts';
import { Icon } from '../parts/Icon.tsx';
import { usePage, useRun, useUi } from '../usePage.ts';
import { Python } from './Python.tsx';
import { RunIt } from './RunIt.tsx';
import { Written } from './Written.tsx';

/** Parity that a merged file should reach, max|a−b| / max|b|: files of 16 bits compute in them, and codes are rounded once more. */
const WANTED = { exact: 1e-4, f16: 1e-2 } as const;

function wantedOf(written: MergeResult['written']): number | null {
  if (written.some(({ how }) => how === 'requantised')) return null;
  return written.some(({ how }) => how !== 'exact') ? WANTED.f16 : WANTED.exact;
}

function Verdict({ merged }: { readonly merged: MergeResult }) {
  if (merged.parity === null) return null;
  const { maxRel, provider } = merged.parity;
  const wanted = wantedOf(merged.written);
  if (wanted === null)
    return (
      <p className="verdict">
        Requantising moved the answers by {maxRel.toExponential(1).replace('e', ' e')} of their largest
        (onnxruntime {provider}); layers kept in floats would not move them.
      </p>
    );
  const isGood = maxRel <= wanted;
  return (
    <p className={isGood ? 'verdict is-good' : 'verdict is-bad'}>
      <Icon name={isGood ? 'check' : 'cross'} />
      {isGood
        ? `The merged file answers as the trained model does (within ${wanted === WANTED.exact ? '1e-4' : '1e-2'}, onnxruntime ${provider}).`
        : `The merged file differs by more than ${wanted === WANTED.exact ? '1e-4' : '1e-2'}; do not rely on it and please report this.`}
    </p>
  );
}

export function Merge() {
  const page = usePage();
  const current = useRun((s) => s.current);
  const hasRun = useRun((s) => s.open !== null && s.state !== 'loading' && s.state !== 'compiling');
  const merged = useRun((s) => s.merged);
  const busy = useRun((s) => s.busy);
  const step = current?.series.column('step').at(-1) ?? 0;
  return (
    <>
      <p>
        Merging folds the adapter into the weights: same graph, same size, no adapter left. The merged file
        then runs in onnxruntime, here, on the inputs that the trainer has just answered, and the two answers
        are compared.
      </p>
      <Button
        className="button button-strong"
        isDisabled={!hasRun || busy !== null}
        onPress={() => void page.looking.merge()}
      >
        {busy ?? (merged === null ? 'Merge and check' : 'Merge again')}
      </Button>
      {hasRun ? null : <p className="hint">Train first, if only for a step.</p>}
      {merged === null ? null : (
        <section className="block" aria-label="Parity with onnxruntime">
          <h3>Trainer against onnxruntime</h3>
          {merged.parity === null ? (
            <p className="hint">Running the merged file …</p>
          ) : (
            <>
              <dl className="figures figures-small">
                <div className="figure is-strong">
                  <dt>max |a−b| / max |b|</dt>
                  <dd>{merged.parity.maxRel.toExponential(1).replace('e', ' e')}</dd>
                </div>
                <div className="figure">
                  <dt>max |a−b|</dt>
                  <dd>{merged.parity.maxAbs.toExponential(1).replace('e', ' e')}</dd>
                </div>
                <div className="figure">
                  <dt>Weights changed</dt>
                  <dd>{merged.changed.length}</dd>
                </div>
              </dl>
              <Verdict merged={merged} />
              <Written written={merged.written} />
              {merged.step === step ? null : (
                <p className="warning">
                  Merged at step {merged.step}; the run is at step {step} now.
                </p>
              )}
            </>
          )}
        </section>
      )}
      <RunIt />
      <Downloads />
    </>
  );
}

function Downloads() {
  const page = usePage();
  const current = useRun((s) => s.current);
  const merged = useRun((s) => s.merged);
  const hasRun = useRun((s) => s.open !== null);
  const task = useRun((s) => s.open?.model.task ?? null);
  const smoothing = useUi((s) => s.smoothing);
  if (current === null || !hasRun) return null;
  const inputs = task === 'image-classification' ? ['pixel_values'] : ['input_ids', 'attention_mask'];
  const snippet = pythonSnippet(current, inputs);
  return (
    <section className="block" aria-label="Downloads">
      <h3>Take it with you</h3>
      <ul className="downloads">
        <Item
          title="Merged model"
          detail={merged === null ? 'after merging' : `${current.name}.onnx, ${bytes(merged.onnx.size)}`}
          isDisabled={merged === null}
          onPress={() => merged !== null && saveFile(`${current.name}.onnx`, merged.onnx)}
        />
        <Item
          title="Folder"
          detail={
            merged === null
              ? 'after merging'
              : 'for transformers.js and the Hub: onnx/model.onnx, config.json, tokenizer'
          }
          isDisabled={merged === null}
          onPress={() => void page.running.saveFolder()}
        />
        <Item
          title="Adapter"
          detail="adapter_config.json and adapter_model.safetensors, as PEFT reads them"
          onPress={() => void page.looking.saveAdapter()}
        />
        <Item
          title="Metrics"
          detail="metrics.csv, raw and smoothed"
          onPress={() => saveFile(`${current.name}-metrics.csv`, metricsCsv(current, smoothing), 'text/csv')}
        />
        <Item
          title="Settings"
          detail="run.json, everything that decides the run"
          onPress={() => saveFile(`${current.name}-run.json`, runJson(current), 'application/json')}
        />
      </ul>
      <details className="advanced">
        <summary>
          <Icon name="chevron" /> Open it in Python
        </summary>
        <pre className="snippet">{snippet}</pre>
        <Button className="text-button" onPress={() => void navigator.clipboard.writeText(snippet)}>
          copy
        </Button>
      </details>
      <Python />
    </section>
  );
}

function Item(props: {
  readonly title: string;
  readonly detail: string;
  readonly isDisabled?: boolean;
  readonly onPress: () => void;
}) {
  return (
    <li>
      <Button className="download" isDisabled={props.isDisabled ?? false} onPress={props.onPress}>
        <Icon name="download" />
        <b>{props.title}</b>
        <span className="download-detail">{props.detail}</span>
      </Button>
    </li>
  );
}
