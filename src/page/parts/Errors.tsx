/** What went wrong, in one sentence, with the ways on; of a model that cannot be imported, what it lacks. */
import { useEffect, useRef } from 'react';
import type { ErrorKind, ErrorReport } from '../../common.ts';
import { say } from '../../common.ts';
import { type ActionId, actionLabel, guideOf, titleOf } from '../errorGuide.ts';
import { saveFile } from '../exports.ts';
import { refuseValue, trainingShape } from '../features/setup/settings.ts';
import { clipped, halvedRate, isClippedLate } from '../features/training/onTheWay.ts';
import { ago } from '../format.ts';
import type { Page } from '../page.ts';
import type { PanelName, RunView } from '../stores.ts';
import { usePage, useRun } from '../usePage.ts';
import { Action } from './Action.tsx';
import { Copy, copyText } from './Copy.tsx';
import { Icon, IconButton } from './Icon.tsx';
import { RoomLeft } from './RoomLeft.tsx';
import { rich } from './rich.ts';
import { useHeard } from './useHeard.ts';

/** An error that needs no button. */
export function ErrorText({ report }: { readonly report: ErrorReport }) {
  const now = useHeard();
  return (
    <div className="error-text" role="alert" data-testid="error">
      {rich`${<b>{titleOf(report)}</b>}. ${now(report.message)}`}
      <MissingOps report={report} />
    </div>
  );
}

function act(page: Page, action: ActionId, report: ErrorReport): void {
  const { controller } = page;
  const { checkpoint, current, open } = page.run.getState();
  const close = () => page.run.setState({ error: null });
  switch (action) {
    case 'resume':
      return void controller.resumeRun();
    case 'halve-rate':
      return void controller.resumeRun((s) => halvedRate(s, open?.model ?? null));
    case 'clip':
      return void controller.resumeRun(clipped);
    case 'resume-onnxruntime':
      return void controller.resumeOn('onnxruntime');
    case 'halve-batch':
    case 'halve-sequence': {
      const key = action === 'halve-batch' ? 'batchSize' : 'sequenceLength';
      const refused = page.setTraining(key, page.choice.getState().settings.training[key] >> 1);
      return void (refused === null ? controller.restart() : page.ui.setState({ notice: refused }));
    }
    case 'download-checkpoint':
      if (checkpoint !== null)
        saveFile(`${current?.name ?? 'run'}-step${checkpoint.step}.safetensors`, checkpoint.bytes);
      return;
    case 'retry':
      close();
      return void controller.toggle();
    case 'reset':
      return void controller.reset();
    case 'copy':
      return void copyText(page.ui, JSON.stringify({ ...report, browser: navigator.userAgent }, null, 2));
    case 'show-model':
    case 'show-data':
    case 'show-targets':
    case 'show-method':
    case 'show-training':
      close();
      page.show(action.slice(5) as 'model');
  }
}

/** Whether an action would change anything now. */
function isOffered(page: Page, action: ActionId, losses: number): boolean {
  const { checkpoint, current, error, state, request, open } = page.run.getState();
  const { settings, report } = page.choice.getState();
  const { batchSize, sequenceLength } = settings.training;
  const isHalf = (key: string, value: number) => refuseValue(trainingShape, key, value) === null;
  // A device that was lost once is opened anew; what is smaller is worth a run begun again only after that.
  const isEnough = error?.report.kind !== 'device-lost' || losses > 1;
  switch (action) {
    case 'resume':
      return (error?.canResume ?? false) && checkpoint !== null;
    case 'resume-onnxruntime':
      return losses > 1 && checkpoint !== null && request?.engine !== 'onnxruntime';
    case 'clip':
      return current !== null && isClippedLate(current.settings);
    case 'download-checkpoint':
      return checkpoint !== null;
    case 'halve-batch':
      return isEnough && isHalf('batchSize', batchSize >> 1);
    case 'halve-sequence': {
      const isText = (open?.model ?? report)?.task !== 'image-classification';
      return isEnough && isText && isHalf('sequenceLength', sequenceLength >> 1);
    }
    // A file that does not fit leaves a run as it is.
    case 'reset':
      return state === 'failed';
    default:
      return true;
  }
}

/** Kinds of errors that are of a step, or of the opening before the first. */
const OF_A_STEP: readonly ErrorKind[] = ['limit', 'out-of-memory', 'device-lost'];

/** Where the run was. */
function whereText({ open, current }: RunView): string {
  const step = current?.series.column('step').at(-1) ?? 0;
  if (open === null || step === 0) return say`The run was being opened, before its first step.`;
  return say`The last step that was heard of is ${step}.`;
}

/** What there is to resume from, and how old it is. */
function keptText({ checkpoint }: RunView): string | null {
  return (
    checkpoint && say`The checkpoint is of step ${checkpoint.step}, taken ${ago(Date.now() - checkpoint.at)}.`
  );
}

/** What is known after a second loss: every submit is short already, so only a smaller batch or shorter texts make one dispatch shorter. */
const lossesText = (losses: number): string =>
  say`This run has lost the device ${losses} times. Papilio hands the GPU short pieces already, but never less than one kernel: a smaller batch or shorter texts make that shorter, with which the run begins again. On the processor it goes on where it is.`;

/** The current error, on the panel where it belongs. */
export function ErrorCard({ panel }: { readonly panel: PanelName }) {
  const page = usePage();
  const error = useRun((s) => s.error);
  const card = useRef<HTMLElement>(null);
  const isHere = error !== null && guideOf(error.report.kind).panel === panel;
  // It may have come where nobody looks: behind another panel, or above what is scrolled to.
  useEffect(() => {
    if (error === null || !isHere) return;
    page.ui.setState({ panel });
    requestAnimationFrame(() => card.current?.scrollIntoView({ block: 'nearest' }));
  }, [page, panel, error, isHere]);
  const now = useHeard();
  if (!isHere) return null;
  const { report } = error;
  const losses = report.kind === 'device-lost' ? error.losses : 0;
  const { log } = report.details;
  const actions = guideOf(report.kind).actions.filter((action) => isOffered(page, action, losses));
  return (
    <section ref={card} className="error-card" role="alert" data-testid="run-error">
      <IconButton
        icon="cross"
        label={say`Close`}
        className="error-close"
        onPress={() => page.run.setState({ error: null })}
      />
      <h3>{titleOf(report)}</h3>
      <p>{now(report.message)}</p>
      {OF_A_STEP.includes(report.kind) ? <p className="hint">{whereText(page.run.getState())}</p> : null}
      {actions.includes('resume') ? <p className="hint">{keptText(page.run.getState())}</p> : null}
      {losses > 1 ? <p>{lossesText(losses)}</p> : null}
      {Array.isArray(log) && log.length > 0 ? <LastLines lines={log.map(String)} /> : null}
      {report.kind === 'quota' ? (
        <p>
          <RoomLeft />
        </p>
      ) : null}
      <MissingOps report={report} />
      <p className="row error-actions">
        {actions.map((action, i) => (
          <Action
            key={action}
            kind={i === 0 ? 'strong' : 'plain'}
            text={actionLabel(action)}
            onPress={() => act(page, action, report)}
          />
        ))}
      </p>
    </section>
  );
}

/** What a worker that stopped had said last, to read and to copy. */
function LastLines({ lines }: { readonly lines: readonly string[] }) {
  const text = lines.join('\n');
  return (
    <details className="fold missing">
      <summary>
        <Icon name="chevron" /> {say`What it said last`}
      </summary>
      <pre className="small">{text}</pre>
      <Copy text={say`copy the lines`} of={text} />
    </details>
  );
}

interface Missing {
  readonly op: string;
  readonly node: string;
  readonly reason: string;
}

interface Recognised {
  readonly family: string;
  readonly modules: readonly { readonly name: string; readonly kind: string }[];
  readonly nodes: { readonly total: number; readonly supported: number; readonly waiting: number };
}

const isMissing = (value: unknown): value is Missing =>
  typeof value === 'object' && value !== null && 'op' in value && 'node' in value;

function missingText(ops: number, nodes: number): string {
  if (ops > 1) return say`${ops} operators are missing, at ${nodes} nodes`;
  return nodes === 1
    ? say`One operator is missing, at 1 node`
    : say`One operator is missing, at ${nodes} nodes`;
}

function recognisedText({ nodes, family, modules }: Recognised): string {
  const { supported, total } = nodes;
  return family === 'unknown'
    ? say`Recognised: ${supported} of ${total} nodes, ${modules.length} modules.`
    : say`Recognised: ${supported} of ${total} nodes, a ${family} model, ${modules.length} modules.`;
}

/** Operators that are missing with their nodes, and what was recognised, to read and to copy; nothing for errors that list none. */
function MissingOps({ report }: { readonly report: ErrorReport }) {
  const missing = (Array.isArray(report.details.missing) ? report.details.missing : []).filter(isMissing);
  if (missing.length === 0) return null;
  const recognised = report.details.recognised as Recognised | undefined;
  const byOp = new Map<string, Missing[]>();
  for (const one of missing) byOp.set(one.op, [...(byOp.get(one.op) ?? []), one]);
  const layers = recognised?.modules.filter(({ kind }) => kind === 'linear' || kind === 'conv1d') ?? [];
  return (
    <details className="fold missing">
      <summary>
        <Icon name="chevron" /> {missingText(byOp.size, missing.length)}
      </summary>
      <dl>
        {[...byOp].map(([op, nodes]) => (
          <div key={op}>
            <dt>
              <code>{op}</code>
            </dt>
            {nodes.map(({ node, reason }) => (
              <dd key={`${node} ${reason}`}>
                <code>{node || say`a node without a name`}</code> {reason}
              </dd>
            ))}
          </div>
        ))}
      </dl>
      {recognised === undefined ? null : (
        <>
          <p>{recognisedText(recognised)}</p>
          {layers.length === 0 ? null : (
            <>
              <p className="missing-modules">{say`Its layers: ${layers.map(({ name }) => name).join(', ')}`}</p>
              <p>{say`They were recognised, but none of them can be adapted: an adapter learns through the whole model, and that needs every operator.`}</p>
            </>
          )}
        </>
      )}
      <Copy text={say`copy the list`} of={JSON.stringify({ missing, recognised }, null, 2)} />
    </details>
  );
}
