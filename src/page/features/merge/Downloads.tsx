/** What can be taken away: the merged file, the adapter, the run in figures and settings, and the run as a Python project. */
import { Button } from 'react-aria-components';
import { useShallow } from 'zustand/react/shallow';
import { say } from '../../../common.ts';
import { type Exported, onnxruntimeSnippet, type Snippet, transformersSnippet } from '../../../merged.ts';
import { metricsCsv, pythonSnippet, runJson, saveFile } from '../../exports.ts';
import { bytes } from '../../format.ts';
import { Action } from '../../parts/Action.tsx';
import { Fold } from '../../parts/Controls.tsx';
import { Copy } from '../../parts/Copy.tsx';
import { Block } from '../../parts/Facts.tsx';
import { Icon } from '../../parts/Icon.tsx';
import { useHeard } from '../../parts/useHeard.ts';
import { OfStep } from '../../parts/Waiting.tsx';
import { usePage, useRun, useUi } from '../../usePage.ts';
import { exportedOf, mergedRun } from './exported.ts';
import { mergedName } from './merging.ts';

export function Downloads() {
  const page = usePage();
  const current = useRun((s) => s.current);
  const merged = useRun((s) => s.merged);
  const parity = merged?.parity ?? null;
  const open = useRun((s) => s.open);
  const of = useRun(useShallow(mergedRun));
  const smoothing = useUi((s) => s.smoothing);
  if (current === null || open === null) return null;
  const inputs =
    merged?.inputs.map(({ name }) => name) ??
    (open.model.task === 'image-classification' ? ['pixel_values'] : ['input_ids', 'attention_mask']);
  const snippet = pythonSnippet(current, inputs);
  return (
    <Block title={say`Take it with you`} label={say`Downloads`}>
      <ul className="downloads">
        <Item
          title={say`Merged model`}
          detail={
            merged === null
              ? say`after merging`
              : parity === null
                ? say`after the check`
                : say`${mergedName(current.name, parity)}, ${bytes(merged.onnx.size)}, of step ${merged.step}`
          }
          isDisabled={parity === null}
          onPress={() =>
            merged !== null && parity !== null && saveFile(mergedName(current.name, parity), merged.onnx)
          }
        />
        <Item
          title={say`Folder`}
          detail={
            merged === null
              ? say`after merging`
              : parity?.verdict !== 'passed'
                ? say`once the merged file has passed its check`
                : say`for transformers.js and the Hub: model card, onnx/model.onnx and the files that belong to it`
          }
          isDisabled={parity?.verdict !== 'passed'}
          onPress={() => void page.try.saveFolder()}
        />
        <Item
          title={say`Adapter`}
          detail={say`adapter_config.json and adapter_model.safetensors, as PEFT reads them`}
          onPress={() => void page.merging.saveAdapter()}
        />
        <Item
          title={say`Metrics`}
          detail={say`metrics.csv, raw and smoothed`}
          onPress={() => saveFile(`${current.name}-metrics.csv`, metricsCsv(current, smoothing), 'text/csv')}
        />
        <Item
          title={say`Settings`}
          detail={say`run.json, everything that decides the run`}
          onPress={() => saveFile(`${current.name}-run.json`, runJson(current), 'application/json')}
        />
      </ul>
      <Fold summary={say`Open it in Python`}>
        <pre className="snippet">{snippet}</pre>
        <Copy text={say`copy`} of={snippet} />
      </Fold>
      {of === null ? null : <Snippets exported={exportedOf(of)} />}
      <Python />
    </Block>
  );
}

/** The merged file in JavaScript, to copy; or why there is no short way. */
function Snippets({ exported }: { readonly exported: Exported }) {
  const all: readonly (readonly [title: string, snippet: Snippet])[] = [
    [say`Run it with onnxruntime-web`, onnxruntimeSnippet(exported)],
    [say`Run it with transformers.js`, transformersSnippet(exported)],
  ];
  return all.map(([title, snippet]) => (
    <Fold key={title} summary={title}>
      {'code' in snippet ? (
        <>
          <pre className="snippet">{snippet.code}</pre>
          <Copy text={say`copy`} of={snippet.code} />
        </>
      ) : (
        <p className="hint">{snippet.reason}</p>
      )}
    </Fold>
  ));
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
        <span className="hint">{props.detail}</span>
      </Button>
    </li>
  );
}

/** "Continue in Python": the project of the run, and what cannot carry over, read before it is saved. */
function Python() {
  const page = usePage();
  const now = useHeard();
  const python = useRun((s) => s.python);
  const busy = useRun((s) => s.busy);
  return (
    <Block title={say`Outgrow the tab`} label={say`Continue in Python`}>
      <p className="hint">{say`A small project with transformers, peft and accelerate: this run’s model, data, method and settings, starting from the adapter trained here, on as many machines as you have.`}</p>
      <p className="row tools">
        <Action
          text={say`Continue in Python`}
          isDisabled={busy !== null}
          onPress={() => void page.merging.writePython()}
        />
      </p>
      {python === null ? null : (
        <div className="notice-card python-card" role="status">
          <h3>{python.warnings.length > 0 ? say`What cannot carry over` : say`Everything carries over`}</h3>
          {python.warnings.length > 0 ? (
            <ul>
              {python.warnings.map((warning) => (
                <li key={warning}>{now(warning)}</li>
              ))}
            </ul>
          ) : null}
          <details className="fold advanced">
            <summary>{say`${python.files.length} files, ${bytes(python.files.reduce((n, file) => n + file.bytes.length, 0))}`}</summary>
            <ul className="python-files">
              {python.files.map((file) => (
                <li key={file.name}>
                  <code>{file.name}</code> {bytes(file.bytes.length)}
                </li>
              ))}
            </ul>
          </details>
          <OfStep step={python.step} />
          <p className="row tools">
            <Action
              kind="strong"
              text={say`Save the project`}
              onPress={() => void page.merging.savePython()}
            />
          </p>
        </div>
      )}
    </Block>
  );
}
