/** What went wrong, in one sentence, with the ways on. */
import { useEffect, useRef } from 'react';
import { Button } from 'react-aria-components';
import { ACTION_LABELS, type ActionId, ERROR_GUIDE } from '../../app/errorGuide.ts';
import { saveFile } from '../../app/exports.ts';
import type { Page } from '../../app/page.ts';
import type { PanelName } from '../../app/stores.ts';
import type { ErrorReport } from '../../training/protocol.ts';
import { usePage, useRun } from '../usePage.ts';
import { Icon } from './Icon.tsx';
import { MissingOps } from './MissingOps.tsx';

/** An error that needs no button. */
export function ErrorText({ report }: { readonly report: ErrorReport }) {
  return (
    <div className="error-text" role="alert" data-testid="error">
      <b>{ERROR_GUIDE[report.kind].title}.</b> {report.message}
      <MissingOps report={report} />
    </div>
  );
}

function act(page: Page, action: ActionId, report: ErrorReport): void {
  const { controller } = page;
  const { checkpoint, current } = page.run.getState();
  const close = () => page.run.setState({ error: null });
  switch (action) {
    case 'resume':
      return void controller.resumeRun();
    case 'halve-rate':
      return void controller.resumeRun((s) => ({
        ...s,
        training: { ...s.training, learningRate: s.training.learningRate / 2 },
      }));
    case 'halve-batch': {
      const { batchSize } = page.choice.getState().settings.training;
      page.setTraining('batchSize', Math.max(1, batchSize >> 1));
      return void controller.restart();
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
      return void navigator.clipboard.writeText(
        JSON.stringify({ ...report, browser: navigator.userAgent }, null, 2),
      );
    case 'show-model':
    case 'show-data':
    case 'show-targets':
    case 'show-method':
    case 'show-training':
      close();
      page.show(action.slice(5) as 'model');
  }
}

/** The current error, on the panel where it belongs. */
export function ErrorCard({ panel }: { readonly panel: PanelName }) {
  const page = usePage();
  const error = useRun((s) => s.error);
  const hasCheckpoint = useRun((s) => s.checkpoint !== null);
  const card = useRef<HTMLElement>(null);
  const isHere = error !== null && ERROR_GUIDE[error.report.kind].panel === panel;
  // It may have come where nobody looks: behind another panel, or above what is scrolled to.
  useEffect(() => {
    if (error === null || !isHere) return;
    page.ui.setState({ panel });
    requestAnimationFrame(() => card.current?.scrollIntoView({ block: 'nearest' }));
  }, [page, panel, error, isHere]);
  if (!isHere) return null;
  const { report, canResume } = error;
  const guide = ERROR_GUIDE[report.kind];
  const actions = guide.actions.filter(
    (action) =>
      (action !== 'resume' || (canResume && hasCheckpoint)) &&
      (action !== 'download-checkpoint' || hasCheckpoint),
  );
  return (
    <section ref={card} className="error-card" role="alert" data-testid="run-error">
      <Button
        className="icon-button error-close"
        aria-label="Close"
        onPress={() => page.run.setState({ error: null })}
      >
        <Icon name="cross" />
      </Button>
      <h3>{guide.title}</h3>
      <p>{report.message}</p>
      <MissingOps report={report} />
      <p className="error-actions">
        {actions.map((action, i) => (
          <Button
            key={action}
            className={i === 0 ? 'button button-strong' : 'button'}
            onPress={() => act(page, action, report)}
          >
            {ACTION_LABELS[action]}
          </Button>
        ))}
      </p>
    </section>
  );
}
