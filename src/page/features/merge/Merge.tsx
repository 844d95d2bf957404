/** Merge into the ONNX file, check it against onnxruntime, take everything away. */
import { Button } from 'react-aria-components';
import { mergedName } from '../../../app/checkMerged.ts';
import { metricsCsv, pythonSnippet, runJson, saveFile } from '../../../app/exports.ts';
import { bytes } from '../../../app/format.ts';
import { Icon } from '../../parts/Icon.tsx';
import { OfStep } from '../../parts/OfStep.tsx';
import { ParityVerdict } from '../../parts/ParityVerdict.tsx';
import { Waiting } from '../../parts/Waiting.tsx';
import { usePage, useRun, useUi } from '../../usePage.ts';
import { RunIt } from '../try/RunIt.tsx';
import { Python } from './Python.tsx';
import { Written } from './Written.tsx';

export function Merge() {
  const page = usePage();
  const hasRun = useRun((s) => s.open !== null && s.state !== 'loading' && s.state !== 'compiling');
  const merged = useRun((s) => s.merged);
  const busy = useRun((s) => s.busy);
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
            <p className="hint">
              <Waiting what="Running the merged file">
                <Button className="text-button" onPress={() => page.looking.stopChecking()}>
                  stop
                </Button>
              </Waiting>
            </p>
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
                  <dt>Allowed</dt>
                  <dd>{merged.parity.bound.toExponential(1).replace('e', ' e')}</dd>
                </div>
                <div className="figure">
                  <dt>Weights changed</dt>
                  <dd>{merged.changed.length}</dd>
                </div>
              </dl>
              <ParityVerdict parity={merged.parity} />
              <Written written={merged.written} />
              <OfStep step={merged.step} />
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
  const parity = merged?.parity ?? null;
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
          detail={
            merged === null
              ? 'after merging'
              : parity === null
                ? 'after the check'
                : `${mergedName(current.name, parity)}, ${bytes(merged.onnx.size)}, of step ${merged.step}`
          }
          isDisabled={parity === null}
          onPress={() =>
            merged !== null && parity !== null && saveFile(mergedName(current.name, parity), merged.onnx)
          }
        />
        <Item
          title="Folder"
          detail={
            merged === null
              ? 'after merging'
              : parity?.verdict !== 'passed'
                ? 'once the merged file has passed its check'
                : 'for transformers.js and the Hub: onnx/model.onnx, config.json, tokenizer'
          }
          isDisabled={parity?.verdict !== 'passed'}
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
