/** The lab of the first fine-tuning: look at the data, train the head alone, choose a method, train it, and try what came out. */
import './first.css';
import { type ReactNode, useEffect, useSyncExternalStore } from 'react';
import { say } from '../../../common.ts';
import { derive } from '../../features/setup/derive.ts';
import { methodTitle, percent } from '../../format.ts';
import { inferenceClient } from '../../inferenceClient.ts';
import { Action } from '../../parts/Action.tsx';
import { useHeldUntil } from '../../parts/held.tsx';
import { rich } from '../../parts/rich.ts';
import { isUnderWay } from '../../stores.ts';
import { trainerClient } from '../../trainerClient.ts';
import { Step, TryThis } from '../LabText.tsx';
import { Term } from '../textbook/Glossary.tsx';
import { useAskBeforeLeaving } from '../useAskBeforeLeaving.ts';
import { useLab, useShown } from '../useLab.ts';
import { accuracyOf, CurveFigure, curvesOf, numbersOf } from './CurveFigure.tsx';
import { FileFigure } from './FileFigure.tsx';
import { FirstQuestions } from './FirstQuestions.tsx';
import { HeldLetters, LearntLetters } from './Letters.tsx';
import { MethodChoice } from './MethodChoice.tsx';
import { RunLine } from './RunLine.tsx';
import { keyOf, newestOf, runName } from './runList.ts';
import { currentOf, FirstRuns, type FirstView } from './runs.ts';
import { firstSettings, mainPage, type Which } from './setup.ts';
import { TryIt } from './TryIt.tsx';

/** The runs for as long as the lab is on screen. */
function useFirst(): { readonly runs: FirstRuns; readonly view: FirstView } {
  const runs = useHeldUntil(
    'runs',
    () => new FirstRuns(trainerClient(), async () => inferenceClient()),
    (made) => made.leave(),
  );
  const view = useSyncExternalStore(runs.view.subscribe, runs.view.getState);
  useEffect(() => {
    if (runs.view.getState().preview === null) void runs.look();
  }, [runs]);
  return { runs, view };
}

/** Whether nothing of the runs of a kind changes any more. */
const isDone = (view: FirstView, of: Which): boolean =>
  currentOf(view)?.which !== of || ['finished', 'paused', 'failed', 'idle'].includes(view.state);

/** What would be lost by leaving, as a question. */
function lostByLeaving({ state, runs }: FirstView): string | null {
  if (isUnderWay(state)) return say`A run is under way, and leaving this lab ends it. Leave all the same?`;
  if (runs.some(({ paused }) => paused !== null))
    return say`A run is paused, and after leaving this lab it cannot go on. Leave all the same?`;
  return null;
}

export default function FirstLab() {
  const lab = useLab();
  const { runs, view } = useFirst();
  const { preview, problem } = view;
  useAskBeforeLeaving(lostByLeaving(view));
  const [adapter, head] = [newestOf(view.runs, 'adapter'), newestOf(view.runs, 'head')];
  const inPercent = (run: typeof adapter) => {
    const share = run === undefined ? null : accuracyOf(run);
    return share === null ? null : 100 * share;
  };
  useShown({
    accuracy: inPercent(adapter),
    head: inPercent(head),
    numbers: adapter === undefined ? null : numbersOf(adapter),
    step: adapter?.steps.at(-1)?.step ?? null,
  });
  const trouble =
    problem === null ? null : (
      <p className="error-text" role="alert" data-testid="problem">
        {problem.message}
      </p>
    );
  return (
    <>
      <Step title={say`1. Look at the data`}>
        <p>
          {say`A small vision model comes with this page. It has learnt to tell 300 invented signs and the digits, on a blackboard. It has never seen a letter. You will teach it capital letters on a grey pavement.`}
        </p>
        {preview === null ? (
          problem === null ? (
            <p className="hint">{say`The model and the letters are being read …`}</p>
          ) : (
            <p className="row">
              <Action icon="reset" text={say`Read them again`} onPress={() => void runs.look()} />
            </p>
          )
        ) : (
          <LearntLetters preview={preview} />
        )}
        {view.current === null ? trouble : null}
      </Step>
      <HeadStep runs={runs} view={view} trouble={trouble} />
      <Step title={say`3. Choose a method`}>
        <MethodChoice model={view.model} preview={view.preview} />
      </Step>
      <AdapterStep runs={runs} view={view} trouble={trouble} />
      <TryStep runs={runs} view={view} />
      <p>
        <a
          href={mainPage(lab.values)}
        >{say`Open this setup on the main page, with everything that can be set`}</a>
      </p>
      <TryThis
        items={[
          say`Take 3 steps: the loss hardly moves. Then 200: it falls, and the curve of held-out letters climbs after it.`,
          say`Take LoRA with rank 1, then 16: sixteen times the numbers. Both curves stand in one picture; see what the numbers buy.`,
          say`Take FourierFT with 50 frequencies: most of the numbers that train are the head’s.`,
          say`Take a learning rate of 0.05 with LoRA: too large a step loses what the model knew.`,
          say`Change the seed: other batches, another curve. Two methods that differ by less than two seeds do are not told apart.`,
        ]}
      />
      <FirstQuestions runs={view.runs} />
    </>
  );
}

interface StepProps {
  readonly runs: FirstRuns;
  readonly view: FirstView;
  readonly trouble?: ReactNode;
}

function HeadStep({ runs, view, trouble }: StepProps) {
  const curves = curvesOf(view.runs, ['head']);
  return (
    <Step title={say`2. What the frozen model sees`}>
      <p>
        {rich`The model turns a picture into 256 numbers, and a ${<Term of="head" />} makes classes of them. Leave the model ${<Term of="frozen" />} and train a new head of 26 letters alone: the better that goes, the more of letters the frozen model sees already.`}
      </p>
      <RunLine which="head" text={say`Train the head alone`} obstacle={null} {...{ runs, view }} />
      {currentOf(view)?.which === 'head' ? trouble : null}
      {curves.length === 0 ? null : (
        <CurveFigure id="head" title={say`The head alone`} curves={curves} isDone={isDone(view, 'head')} />
      )}
      <HeldLetters id="head-letters" curves={curves} />
    </Step>
  );
}

/** Of the picture of a run, with all that stands beside it. */
function titleOf(curves: number, hasHead: boolean): string {
  if (curves > (hasHead ? 2 : 1)) return say`The run beside those before it`;
  return hasHead ? say`The run beside the head alone` : say`The run`;
}

function AdapterStep({ runs, view, trouble }: StepProps) {
  const lab = useLab();
  const { method } = firstSettings(lab.values);
  const curves = curvesOf(view.runs, ['head', 'adapter']);
  const [adapter, head] = [newestOf(view.runs, 'adapter'), newestOf(view.runs, 'head')];
  const [along, without] = [adapter && accuracyOf(adapter), head && accuracyOf(head)];
  return (
    <Step title={say`4. Train`}>
      <p>
        {rich`The same trainer as on the main page: ${<Term of="batch">{say`batches`}</Term>} of 16 letters, ${<Term of="AdamW" />}, a rate that ${<Term of="warm-up">{say`warms up`}</Term>} and then falls to nothing. Now the method’s numbers train with the head.`}
      </p>
      <RunLine
        which="adapter"
        text={say`Train with ${methodTitle(method)}`}
        obstacle={derive(firstSettings(lab.values), view.model).problem}
        {...{ runs, view }}
      />
      {currentOf(view)?.which === 'adapter' ? trouble : null}
      {adapter === undefined ? null : (
        <CurveFigure
          id="run"
          title={titleOf(curves.length, head !== undefined)}
          curves={curves}
          isDone={isDone(view, 'adapter')}
        />
      )}
      {typeof along === 'number' && typeof without === 'number' && along > without && adapter?.answers ? (
        <p>
          {say`The distance between ${percent(without)} and ${percent(along)} is what changing the model itself adds to a new head.`}
        </p>
      ) : null}
    </Step>
  );
}

function TryStep({ runs, view }: StepProps) {
  const adapter = newestOf(view.runs, 'adapter');
  const isOpen =
    adapter !== undefined &&
    view.current === keyOf(adapter) &&
    (view.state === 'finished' || view.state === 'paused');
  return (
    <Step title={say`5. Try it, and take it away`}>
      {adapter?.answers ? null : (
        <p className="hint">{say`When the run has ended or is paused, this is filled.`}</p>
      )}
      {adapter?.answers ? (
        <HeldLetters id="held-letters" curves={curvesOf(view.runs, ['head', 'adapter'])} />
      ) : null}
      {isOpen ? (
        <>
          <TryIt runs={runs} run={adapter} name={runName(adapter, view.runs)} />
          <p>
            {rich`To ${<Term of="merge" />} is to multiply or add what was learnt into the weights themselves. The file that comes out runs wherever ${<Term of="ONNX" />} runs, without this page.`}
          </p>
          <p className="row">
            <Action
              data-testid="merge"
              text={say`Merge into an ONNX file`}
              isDisabled={view.busy !== null}
              onPress={() => void runs.merge()}
            />
            {view.busy === null ? null : <span className="hint">{say`${view.busy} …`}</span>}
          </p>
          {view.file === null ? null : <FileFigure file={view.file} />}
        </>
      ) : null}
    </Step>
  );
}
