/** What comes before training: another tab's run, a session to resume, a checkpoint's file to go on from. */
import { FileTrigger } from 'react-aria-components';
import { useStore } from 'zustand';
import { say } from '../../../common.ts';
import { ago } from '../../format.ts';
import { Action } from '../../parts/Action.tsx';
import { RoomLeft } from '../../parts/RoomLeft.tsx';
import { rich } from '../../parts/rich.ts';
import { Sentences } from '../../parts/Sentences.tsx';
import { usePage, useRun, useUi } from '../../usePage.ts';

/** Another tab's run is the one that is kept: this one looks on, takes it over, or trains without being kept. */
export function TabBanner() {
  const page = usePage();
  const { owner, news } = useStore(page.tabs.view);
  const isIdle = useRun((s) => s.current === null);
  const isKept = useRun((s) => s.isKept);
  const hasRun = useRun((s) => s.open !== null);
  const gpu = useUi((s) => s.gpu);
  if (owner === 'other')
    return (
      <section className="notice-card row resume" aria-label={say`Another tab`}>
        <p>
          <Sentences>
            {news === null
              ? say`Another tab holds a run; this one looks on.`
              : rich`Another tab holds the run ${<b>{news.name}</b>}, step ${news.step} of ${news.totalSteps}; this one looks on.`}
            {isIdle ? say`A run begun here is not kept.` : say`The run here is not kept.`}
          </Sentences>
        </p>
        {isIdle ? (
          <Action
            text={say`Take it over`}
            isDisabled={gpu === null}
            onPress={() => void page.controller.takeOver()}
          />
        ) : null}
      </section>
    );
  if (owner !== 'nobody' || isKept || !hasRun) return null;
  return (
    <section className="notice-card row resume" aria-label={say`Another tab`}>
      <p>{say`The other tab is closed. What it kept can be resumed after a Reset; the run here is not kept.`}</p>
      <Action text={say`Keep this run instead`} onPress={() => void page.controller.keepInstead()} />
    </section>
  );
}

export function ResumeBanner() {
  const page = usePage();
  const saved = useRun((s) => s.saved);
  const problem = useRun((s) => s.savedProblem);
  const isIdle = useRun((s) => s.current === null);
  const isElsewhere = useStore(page.tabs.view, (s) => s.owner === 'other');
  const gpu = useUi((s) => s.gpu);
  if (!isIdle || isElsewhere) return null;
  if (problem !== null)
    return (
      <section className="notice-card row resume" aria-label={say`A run that cannot be resumed`}>
        <p>{problem}</p>
        <Action kind="link" text={say`forget it`} onPress={() => void page.controller.forgetSaved()} />
      </section>
    );
  if (saved === null) return null;
  return (
    <section className="notice-card row resume" aria-label={say`A run to resume`}>
      <p>
        {rich`Resume ${<b>{saved.name}</b>}, step ${saved.step} of ${saved.totalSteps}`}{' '}
        <span className="hint">({ago(Date.now() - saved.savedAt)})</span> <RoomLeft />
      </p>
      <Action
        kind="strong"
        text={say`Resume`}
        isDisabled={gpu === null}
        onPress={() => void page.controller.resumeSaved()}
      />
      <Action kind="link" text={say`forget it`} onPress={() => void page.controller.forgetSaved()} />
    </section>
  );
}

/** A checkpoint that was downloaded, to go on from: where nothing trains. */
export function FromFile() {
  const page = usePage();
  const state = useRun((s) => s.state);
  const gpu = useUi((s) => s.gpu);
  if (state !== 'idle' && state !== 'failed') return null;
  return (
    <p className="row tools">
      <FileTrigger
        acceptedFileTypes={['.safetensors']}
        onSelect={(list) => {
          const [file] = list ?? [];
          if (file !== undefined) void page.controller.resumeFile({ name: file.name, bytes: file });
        }}
      >
        <Action text={say`Resume from a file`} isDisabled={gpu === null} />
      </FileTrigger>
      <span className="hint">
        <Sentences>
          {say`A checkpoint that was downloaded: choose it, or drop it beside any box.`}
          {say`Model and data of your own are to be chosen first.`}
        </Sentences>
      </span>
    </p>
  );
}
