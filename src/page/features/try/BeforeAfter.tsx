/** The base and the adapted model on the same held-out inputs. */
import { type ReactNode, useState } from 'react';
import { say } from '../../../common.ts';
import type {
  ImageBeforeAfter,
  BeforeAfter as Shown,
  TextBeforeAfter,
  TextClassBeforeAfter,
  TextValueBeforeAfter,
} from '../../../protocol.ts';
import { metricText, percent, power, real, scoredOn, scoreText } from '../../format.ts';
import { Action } from '../../parts/Action.tsx';
import { TextField } from '../../parts/Controls.tsx';
import { Block } from '../../parts/Facts.tsx';
import { Icon } from '../../parts/Icon.tsx';
import { later } from '../../parts/later.tsx';
import { Measured } from '../../parts/Measured.tsx';
import { DrawPad, Picture } from '../../parts/Pictures.tsx';
import { rich } from '../../parts/rich.ts';
import { Sentences } from '../../parts/Sentences.tsx';
import { OfStep } from '../../parts/Waiting.tsx';
import { useIsRecorded, usePage, useRun, useUi } from '../../usePage.ts';
import { byChange, tallyOf } from '../inspect/inspection.ts';
import { DRAWING_SIZE } from '../setup/choice.ts';

// Texts are of few runs: what colours their tokens comes with the first.
const TextOdds = later<'TextOdds', { readonly comparison: TextBeforeAfter }>(
  'TextOdds',
  () => import('./TextOdds.tsx'),
);

/** Examples on screen. */
const SHOWN = 8;

export function BeforeAfter() {
  const page = usePage();
  const comparison = useRun((s) => s.comparison);
  const isComparing = useRun((s) => s.isComparing);
  const hasRun = useRun((s) => s.open !== null);
  const isRecorded = useIsRecorded();
  if (!hasRun || comparison === null) {
    return (
      <p className="empty">
        {hasRun
          ? say`Asking both models …`
          : say`Before and after on the same held-out inputs: what the model says now, and what it says once it has learnt. It fills as soon as a run begins.`}
      </p>
    );
  }
  const { value, step } = comparison;
  return (
    <>
      <div className="row see-head">
        <span className="hint">
          <Sentences>
            {say`Held-out inputs, base model and step ${step}.`}
            {value.kind === 'text' ? say`Same prompt, same seed.` : say`What changed most comes first.`}
          </Sentences>
          {value.kind === 'text' ? null : <Measured of="answers" about={say`answers before and after`} />}
        </span>
        {isRecorded ? null : (
          <Action text={say`Compare now`} onPress={() => void page.inspection.compare()} />
        )}
      </div>
      <OfStep step={step} isAsked={isComparing} />
      <Tally comparison={value} />
      <MergedBeside />
      {value.kind === 'image' ? (
        <Images comparison={value} />
      ) : value.kind === 'text' ? (
        <Texts comparison={value} />
      ) : value.kind === 'text-value' ? (
        <TextValues comparison={value} />
      ) : (
        <TextClasses comparison={value} />
      )}
    </>
  );
}

/** How many are right, and of which examples: the held-out score beside the curve is of others, and usually of more. */
function Tally({ comparison }: { readonly comparison: Shown }) {
  const score = useRun((s) => s.current?.series.evals.at(-1));
  const tally = tallyOf(comparison);
  if (tally === null) return null;
  const { before, after, of } = tally;
  return (
    <p className="tally">
      <Sentences>
        {rich`Right before: ${<b>{before}</b>} of ${of}. Right after: ${<b>{after}</b>} of ${of}.`}
        {of > SHOWN
          ? say`These are ${of} held-out examples drawn for this look, of which the ${SHOWN} that changed most are below.`
          : say`These are ${of} held-out examples drawn for this look.`}
        {score === undefined
          ? null
          : say`The held-out ${metricText(score.metric)} beside the curve, ${scoreText(score)} at step ${score.step}, is of ${scoredOn(score)}.`}
      </Sentences>
    </p>
  );
}

/** How near the merged file comes to the trainer, where that was measured. */
function MergedBeside() {
  const merged = useRun((s) => s.merged);
  const parity = merged?.parity ?? null;
  if (merged === null || parity === null || parity.verdict === 'unchecked') return null;
  const { maxRel, maxAbs, bound, samples } = parity;
  return (
    <p className="tally" data-testid="merged-beside">
      <Sentences>
        {parity.verdict === 'passed'
          ? say`Merged at step ${merged.step}: on ${samples} held-out inputs onnxruntime gave what the trainer gave, at most ${power(maxAbs)} or ${power(maxRel)} of the largest answer apart (${power(bound)} is allowed).`
          : say`Merged at step ${merged.step}: on ${samples} held-out inputs onnxruntime gave something else than the trainer, up to ${power(maxAbs)} or ${power(maxRel)} of the largest answer apart (${power(bound)} is allowed).`}
        <Measured of="parity-relative" about={say`the merged file beside the trainer`} />
      </Sentences>
    </p>
  );
}

/** What both models find likeliest, side by side. */
export function BothBars(props: {
  readonly labels: readonly string[];
  readonly before: Float32Array;
  readonly after: Float32Array;
  readonly truth?: number | null;
  /** What the second one is called. */
  readonly title?: string;
}) {
  const { labels, before, after, truth = null, title = say`after` } = props;
  return (
    <>
      <Bars title={say`before`} labels={labels} values={before} truth={truth} />
      <Bars title={title} labels={labels} values={after} truth={truth} />
    </>
  );
}

/** The likeliest classes as bars; the true one is marked by word and colour. */
function Bars(props: {
  readonly title: string;
  readonly labels: readonly string[];
  readonly values: Float32Array;
  readonly truth: number | null;
}) {
  const { title, labels, values, truth } = props;
  const top = [...values.keys()].sort((a, b) => values[b]! - values[a]!).slice(0, 3);
  const isRight = top[0] === truth;
  return (
    <div className="bars">
      <span className={`bars-title ${truth === null ? '' : isRight ? 'is-right' : 'is-wrong'}`}>
        {title}
        {truth === null ? null : <Icon name={isRight ? 'check' : 'cross'} />}
        {truth === null ? null : <span className="hidden">{isRight ? say`right` : say`wrong`}</span>}
      </span>
      {top.map((i) => (
        <span key={i} className={`bar ${i === truth ? 'is-truth' : ''}`}>
          <span className="bar-label clip">{labels[i] ?? String(i)}</span>
          <span className="bar-track">
            <span style={{ transform: `scaleX(${values[i]})` }} />
          </span>
          <span className="bar-value">{Math.round(values[i]! * 100)} %</span>
        </span>
      ))}
    </div>
  );
}

/** The examples that changed most, most first. */
function Examples<Example extends Parameters<typeof byChange>[0][number]>(props: {
  readonly examples: readonly Example[];
  readonly isText?: boolean;
  readonly children: (example: Example) => ReactNode;
}) {
  const { examples, isText = false, children } = props;
  return (
    <ul data-testid="examples">
      {byChange(examples)
        .slice(0, SHOWN)
        .map((one, i) => (
          // biome-ignore lint/suspicious/noArrayIndexKey: what is shown is drawn anew at each comparison.
          <li key={i} className={isText ? 'example example-text' : 'example'}>
            {children(one)}
          </li>
        ))}
    </ul>
  );
}

function Images({ comparison }: { readonly comparison: ImageBeforeAfter }) {
  const { labels, examples } = comparison;
  const isRecorded = useIsRecorded();
  const isDrawn = examples[0]?.width === DRAWING_SIZE && examples[0].height === DRAWING_SIZE;
  return (
    <>
      <Examples examples={examples}>
        {({ pixels, width, height, label, before, after }) => (
          <>
            <figure>
              <Picture pixels={pixels} width={width} height={height} label={say`a ${labels[label]!}`} />
              <figcaption>{labels[label] ?? ''}</figcaption>
            </figure>
            <BothBars labels={labels} before={before} after={after} truth={label} />
          </>
        )}
      </Examples>
      {isDrawn && !isRecorded ? <TryDrawing labels={labels} /> : null}
    </>
  );
}

function TryDrawing({ labels }: { readonly labels: readonly string[] }) {
  const page = usePage();
  const tones = useRun((s) => s.open?.data.picture?.tones);
  const [answer, setAnswer] = useState<Awaited<ReturnType<typeof page.inspection.classify>>>(null);
  return (
    <Block title={say`Draw one yourself`} label={say`Try your own drawing`}>
      <div className="try-row">
        <DrawPad
          size={DRAWING_SIZE}
          label={say`Draw something for both models to read`}
          action={say`Ask both models`}
          keepsDrawing
          {...(tones ? { tones } : {})}
          onDone={(pixels) => void page.inspection.classify(pixels).then(setAnswer)}
        />
        {answer === null ? null : (
          <div className="try-answer">
            <BothBars labels={labels} {...answer} />
            {answer.head === null ? null : (
              <Bars
                title={say`after, its head without the adapter`}
                labels={labels}
                values={answer.head}
                truth={null}
              />
            )}
          </div>
        )}
      </div>
    </Block>
  );
}

function Texts({ comparison }: { readonly comparison: TextBeforeAfter }) {
  const page = usePage();
  const prompt = useUi((s) => s.prompt);
  const seed = useUi((s) => s.sampleSeed);
  const temperature = useUi((s) => s.temperature);
  return (
    <>
      <form
        className="row prompt"
        onSubmit={(event) => {
          event.preventDefault();
          void page.inspection.compare();
        }}
      >
        <TextField
          className="prompt-text"
          label={say`Prompt`}
          value={prompt}
          placeholder={comparison.prompt}
          onText={(text) => page.ui.setState({ prompt: text })}
        />
        <TextField
          className=""
          label={say`Seed`}
          isNumber
          type="number"
          min={0}
          value={seed}
          onText={(text) => page.ui.setState({ sampleSeed: Math.max(0, Math.floor(Number(text) || 0)) })}
        />
        <TextField
          className=""
          label={say`Temperature`}
          isNumber
          type="number"
          min={0}
          max={3}
          step={0.1}
          value={temperature}
          onText={(text) => page.ui.setState({ temperature: Math.max(0, Number(text) || 0) })}
        />
        <Action text={say`Write`} type="submit" />
      </form>
      <TextOdds comparison={comparison} />
    </>
  );
}

function TextClasses({ comparison }: { readonly comparison: TextClassBeforeAfter }) {
  const { labels, examples } = comparison;
  return (
    <Examples examples={examples} isText>
      {({ text, label, before, after }) => (
        <>
          <p className="example-text-body">
            {text}{' '}
            <span className="hint">{say`${percent(after[label] ?? 0)} on “${labels[label] ?? ''}” at this step`}</span>
          </p>
          <BothBars labels={labels} before={before} after={after} truth={label} />
        </>
      )}
    </Examples>
  );
}

function TextValues({ comparison }: { readonly comparison: TextValueBeforeAfter }) {
  return (
    <Examples examples={comparison.examples} isText>
      {({ text, value, before, after }) => (
        <p className="example-text-body">
          {text}{' '}
          <span className="hint">{say`${real(value)} in the data, ${real(before)} before, ${real(after)} at this step`}</span>
        </p>
      )}
    </Examples>
  );
}
