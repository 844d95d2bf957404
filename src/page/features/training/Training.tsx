/** The second area: run it and watch it learn. */
import { useMemo } from 'react';
import { useStore } from 'zustand';
import { say } from '../../../common.ts';
import type { Progress, RunState } from '../../../protocol.ts';
import { type Command, commandById, commandTip, shortcutOf } from '../../commands.ts';
import { bytes, whole } from '../../format.ts';
import { Action } from '../../parts/Action.tsx';
import { ErrorCard } from '../../parts/Errors.tsx';
import type { IconName } from '../../parts/Icon.tsx';
import { later } from '../../parts/later.tsx';
import { Silence, useSilence } from '../../parts/Waiting.tsx';
import type { RunView } from '../../stores.ts';
import { useChoice, useDerived, usePage, useRun, useSeries, useUi } from '../../usePage.ts';
import { RecordedAgain, Shown } from '../recorded/Shown.tsx';
import { presetById } from '../setup/presets.ts';
import { partIn, partsOf } from '../setup/sides.ts';
import { canTakeUp } from './onTheWay.ts';

// What stands below the buttons comes when they are there.
const Forecast = later<'Forecast', object>('Forecast', () => import('./Forecast.tsx'));
const Speed = later('Speed', () => import('./Speed.tsx'));
const Tuning = later('Tuning', () => import('./Tuning.tsx'));
const ReaderBanner = later('ReaderBanner', () => import('../device/ReaderBanner.tsx'));
const DeviceCheck = later('DeviceCheck', () => import('../device/DeviceCheck.tsx'));
const TabBanner = later('TabBanner', () => import('./Banners.tsx'));
const ResumeBanner = later('ResumeBanner', () => import('./Banners.tsx'));
const FromFile = later('FromFile', () => import('./Banners.tsx'));
const Still = later<'Still', object>('Still', () => import('./Still.tsx'));
const LastStep = later<'LastStep', object>('LastStep', () => import('./LastStep.tsx'));
const Figures = later('Figures', () => import('./Figures.tsx'));
const Drawn = later('Drawn', () => import('./Drawn.tsx'));
const Answer = later<'Answer', { readonly isOfRecorded?: boolean }>('Answer', () => import('./Answer.tsx'));
const Charts = later<'Charts', object>('Charts', () => import('./Charts.tsx'));

export function Training() {
  const preset = useChoice((s) => presetById(s.settings.preset));
  const isAsked = useChoice((s) => partIn(partsOf(preset, s.settings.training), s.settings) !== null);
  return (
    <div className="panel-scroll">
      {isAsked ? <p className="question">{preset.question()}</p> : null}
      <Transport />
      <Forecast />
      <Speed />
      <Tuning />
      <DeviceCheck />
      <ReaderBanner />
      <TabBanner />
      <ResumeBanner />
      <ErrorCard panel="train" />
      <Still />
      <Clocks />
      <LastStep />
      <Shown>
        <Answer />
        <Figures />
        <Charts />
        <Answer isOfRecorded />
      </Shown>
      <Drawn />
      <RecordedAgain />
      <FromFile />
    </div>
  );
}

const STATES = (): Readonly<Record<RunState, string>> => ({
  idle: say`ready when you are`,
  loading: say`loading`,
  compiling: say`compiling`,
  ready: say`ready`,
  running: say`training`,
  paused: say`paused`,
  finished: say`finished`,
  failed: say`stopped`,
});

const COMPILES = () =>
  ({
    pipelines: say`compiling`,
    products: say`looking for the fastest kernels`,
    graphs: say`opening the graphs in onnxruntime`,
  }) as const;

/** What a run waits for that has said nothing for a while. */
function waitsFor({ state, busy, progress, current }: RunView): string | null {
  if (busy !== null) return busy;
  const { download, compile } = progress;
  if (state === 'running') return say`training, waiting for step ${stepOf(current) + 1}`;
  if (state === 'compiling')
    return compile?.clock === 'compile' && compile.done < compile.total
      ? COMPILES()[compile.of]
      : say`measuring the model before training`;
  if (state !== 'loading') return null;
  return download?.clock === 'download' && download.doneBytes < download.totalBytes
    ? say`loading, waiting for ${download.what}`
    : say`loading, reading model and data`;
}

const stepOf = (current: RunView['current']): number => current?.series.column('step').at(-1) ?? 0;

/** What the run does; when it says nothing, what it waits for, for how long, and the way out. */
function StateLine({ isChanged }: { readonly isChanged: boolean }) {
  const page = usePage();
  const state = useRun((s) => s.state);
  const current = useRun((s) => s.current);
  const busy = useRun((s) => s.busy);
  const progress = useRun((s) => s.progress);
  const obstacle = useChoice(() => page.obstacle());
  useStore(page.data.view, (s) => s.error);
  const areBad = useChoice(() => page.data.areBad());
  const news = useMemo(() => ({ state, busy, progress }), [state, busy, progress]);
  const awaited = waitsFor(page.run.getState());
  const silence = useSilence(news, awaited !== null);
  // Who presses Train all the same is told why, and what to do.
  const idle = obstacle ?? (areBad ? say`these data cannot be trained on` : STATES().idle);
  const settled =
    state === 'finished' && isChanged
      ? say`finished as it was set; your changes are not trained yet`
      : state === 'paused' && isChanged
        ? say`paused; Continue goes on as it was set, without your changes`
        : STATES()[state];
  const words = busy ?? (state === 'idle' ? idle : settled);
  return (
    <p className="transport-state" data-testid="run-state" data-state={state}>
      <i className="state-dot" />
      <span>
        {silence === 0 ? words : `${awaited} …`}
        <Silence seconds={silence} way={isChanged ? say`Restart ends it` : say`Reset ends it`} />
      </span>
      {current === null ? null : <b data-testid="run-name">{current.name}</b>}
    </p>
  );
}

function CommandButton(props: {
  readonly command: Command;
  readonly icon: IconName;
  readonly label: string;
  readonly isMain?: boolean;
}) {
  const { command, icon, label, isMain = false } = props;
  const page = usePage();
  const isEnabled = command.isEnabled(page);
  const isNext = useUi((s) => isMain && s.next === 'train') && isEnabled;
  return (
    // The browser's own tooltip: ours would come with the entry.
    <span className="keyed" title={commandTip(command)}>
      <Action
        kind={isMain ? 'main' : 'plain'}
        icon={icon}
        text={label}
        isDisabled={!isEnabled}
        onPress={() => command.run(page)}
        shortcut={shortcutOf(command)}
        data-testid={command.id}
        data-next={isNext || undefined}
      />
    </span>
  );
}

/** Train, Step, Reset: the buttons of the command table, and what the run is doing. */
function Transport() {
  const page = usePage();
  const state = useRun((s) => s.state);
  const current = useRun((s) => s.current);
  const undo = useRun((s) => s.undo);
  // These decide which buttons are enabled.
  useDerived();
  useUi((s) => s.gpu);
  useChoice(() => page.obstacle());
  useChoice((s) => s.startFrom);
  useRun((s) => (s.current?.series.length ?? 0) > 0);
  const isChanged = page.isChanged();
  const canGoOn = canTakeUp(page.run.getState(), page.choice.getState());
  const label =
    state === 'running'
      ? say`Pause`
      : state === 'paused' || (state === 'ready' && current !== null)
        ? say`Continue`
        : state === 'finished'
          ? say`Finished`
          : say`Train`;
  return (
    <div className="row transport">
      <div className="row transport-buttons">
        {/* What has finished is the run of before: what is set now begins with the restart. */}
        {state === 'finished' && isChanged ? null : (
          <CommandButton
            command={commandById('toggle')}
            icon={state === 'running' ? 'pause' : state === 'finished' ? 'check' : 'play'}
            label={label}
            isMain
          />
        )}
        <CommandButton command={commandById('step')} icon="step" label={say`Step`} />
        {canGoOn ? (
          <Action
            kind="strong"
            icon="play"
            text={say`Go on with changes`}
            onPress={() => void page.controller.goOn()}
          />
        ) : null}
        {isChanged ? (
          <Action
            kind={state === 'finished' ? 'main' : canGoOn ? 'plain' : 'strong'}
            icon="reset"
            text={say`Restart with changes`}
            onPress={() => void page.controller.restart()}
          />
        ) : (
          <CommandButton command={commandById('reset')} icon="reset" label={say`Reset`} />
        )}
        {undo === null ? null : (
          <Action kind="link" text={say`undo reset`} onPress={() => void page.controller.undoReset()} />
        )}
      </div>
      <StateLine isChanged={isChanged} />
    </div>
  );
}

const CLOCKS = () => ({ download: say`Download`, compile: say`Compile`, train: say`Train` }) as const;

function share(progress: Progress): number {
  if (progress.clock === 'download')
    return progress.totalBytes > 0 ? progress.doneBytes / progress.totalBytes : 1;
  return progress.total > 0 ? progress.done / progress.total : 1;
}

type Unit = Extract<Progress, { clock: 'compile' }>['of'] | 'steps';

function clockText(of: Unit, total: number, done: string, all: string): string {
  if (of === 'steps') return total === 1 ? say`${done} of 1 step` : say`${done} of ${all} steps`;
  if (of === 'pipelines') return total === 1 ? say`${done} of 1 pipeline` : say`${done} of ${all} pipelines`;
  if (of === 'products') return total === 1 ? say`${done} of 1 product` : say`${done} of ${all} products`;
  return total === 1 ? say`${done} of 1 graph` : say`${done} of ${all} graphs`;
}

function text(progress: Progress): string {
  if (progress.clock === 'download')
    return say`${bytes(progress.doneBytes)} of ${bytes(progress.totalBytes)}`;
  const of = progress.clock === 'compile' ? progress.of : 'steps';
  return clockText(of, progress.total, whole(progress.done), whole(progress.total));
}

/** Three clocks, never one spinner: download, compile, train. */
function Clocks() {
  const progress = useRun((s) => s.progress);
  const current = useRun((s) => s.current);
  const total = useRun((s) => s.open?.totalSteps ?? null);
  useSeries(current?.series ?? null);
  const step = current?.series.column('step').at(-1) ?? 0;
  const train: Progress | undefined = total === null ? undefined : { clock: 'train', done: step, total };
  return (
    <div className="clocks" data-testid="clocks">
      {(['download', 'compile', 'train'] as const).map((clock) => {
        const now = clock === 'train' ? train : progress[clock];
        const done = now === undefined ? 0 : share(now);
        return (
          <div
            key={clock}
            className={`clock ${now === undefined ? 'is-idle' : done >= 1 ? 'is-done' : 'is-on'}`}
          >
            <span className="clock-name">{CLOCKS()[clock]}</span>
            <span
              className="clock-bar"
              role="progressbar"
              aria-label={CLOCKS()[clock]}
              aria-valuemin={0}
              aria-valuemax={100}
              aria-valuenow={Math.round(done * 100)}
              aria-valuetext={now === undefined ? say`not begun` : text(now)}
            >
              <span style={{ transform: `scaleX(${done})` }} />
            </span>
            <span className="clock-text small tabular clip">{now === undefined ? '' : text(now)}</span>
          </div>
        );
      })}
    </div>
  );
}
