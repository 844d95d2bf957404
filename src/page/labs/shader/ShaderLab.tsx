/** The shader lab: a kernel's own text beside its formula and its picture; it can be changed, and is checked against float64 on the reader's device. */
import { useEffect, useMemo, useRef } from 'react';
import { say } from '../../../common.ts';
import {
  BREAKAGES,
  broken,
  type KernelName,
  type ReaderPlace,
  type ShaderKernel,
  type ShaderTexts,
  UNBROKEN,
} from '../../../labs.ts';
import { Action } from '../../parts/Action.tsx';
import { Formula } from '../../parts/Formula.tsx';
import { useHeld } from '../../parts/held.tsx';
import { rich } from '../../parts/rich.ts';
import { Sentences } from '../../parts/Sentences.tsx';
import { LabControl } from '../LabControl.tsx';
import { Step, TryThis } from '../LabText.tsx';
import { useLab, useShown } from '../useLab.ts';
import { CellFigure } from './CellFigure.tsx';
import { ShaderQuestions } from './ShaderQuestions.tsx';
import { ShaderText, type TextHandle } from './ShaderText.tsx';
import { type Checked, useCheck, useDevice, useKernel } from './shaderWorker.ts';
import { Verdict } from './Verdict.tsx';
import { breakageShows, breakageTitle, FORMULAS, formulasNote, kernelTitle, sizeTitle } from './words.ts';
import './shader.css';
import { Term } from '../textbook/Glossary.tsx';

export default function ShaderLab() {
  const lab = useLab();
  const name = lab.text('kernel') as KernelName;
  const { kernel, problem } = useKernel(name);
  const { device, without } = useDevice();
  const check = useCheck();
  return (
    <>
      <Step title={say`The text that trains`}>
        <p>
          {rich`A rotation is fine-tuned on a GPU by short programs, each called a ${<Term of="shader" />} or a ${<Term of="kernel" />}. Below are three of Papilio’s own, word for word. Change one and run it: every cell that it computes is held against the same in ${<Term of="float64" />}, on your device.`}
        </p>
        <div className="shader-kernel">
          <LabControl name="kernel" label={say`Kernel`} titleOf={kernelTitle} />
        </div>
      </Step>
      {without === null ? null : (
        <p className="warning shader-note" role="status" data-testid="shader-without">
          <Sentences>
            {say`Shaders run on WebGPU alone, so here they can be read but not run.`}
            {without}
          </Sentences>
        </p>
      )}
      {[problem, check.problem].map((one) =>
        one === null ? null : (
          <p key={one} className="error-text" role="alert">
            {one}
          </p>
        ),
      )}
      {kernel === null ? (
        <p className="hint">{say`The kernel is being read …`}</p>
      ) : (
        <Bench key={`${name} ${lab.resets}`} {...{ name, kernel, device, check }} canRun={without === null} />
      )}
      <ShaderQuestions checked={check.checked} />
      <p>
        <Sentences>
          {say`That was the last lab. You have seen how skew numbers make a rotation, how factors join inputs, what waves and low rank can hold, what is kept and what is forgotten, and the programs that compute it.`}
          <a href="./">{say`Now fine-tune a model of your own.`}</a>
        </Sentences>
      </p>
    </>
  );
}

const placesIn = (checked: Checked | null): readonly ReaderPlace[] => {
  const answer = checked?.answer;
  if (answer?.kind === 'budget') return answer.place === null ? [] : [answer.place];
  return answer?.kind === 'compile'
    ? answer.messages.flatMap(({ place }) => (place === null ? [] : [place]))
    : [];
};

/** The texts that a reader was given, what they are now, and what of them ran last. */
interface BenchTexts {
  readonly given: ShaderTexts;
  readonly texts: ShaderTexts;
  readonly ran: ShaderTexts;
}

const begun = (given: ShaderTexts): BenchTexts => ({ given, texts: given, ran: given });

const isSame = (a: ShaderTexts, b: ShaderTexts): boolean =>
  Object.keys(b).every((path) => a[path] === b[path]);

/** A kernel's text with its picture. */
function Bench(props: {
  readonly name: KernelName;
  readonly kernel: ShaderKernel;
  readonly device: ReturnType<typeof useDevice>['device'];
  readonly check: ReturnType<typeof useCheck>;
  readonly canRun: boolean;
}) {
  const { name, kernel, device, check, canRun } = props;
  const lab = useLab();
  const breakage = lab.text('broken');
  const given = useMemo(() => broken(name, kernel.files, breakage), [name, kernel, breakage]);
  const [bench, setBench] = useHeld<BenchTexts | null>(`bench ${name} ${lab.resets}`, () => null);
  const own = bench !== null && isSame(bench.given, given) ? bench : begun(given);
  const { texts } = own;
  const setTexts = (next: ShaderTexts) => setBench((before) => ({ ...(before ?? own), texts: next }));
  const handle = useRef<TextHandle>(null);
  const { run } = check;
  // biome-ignore lint/correctness/useExhaustiveDependencies: whenever another text is given.
  useEffect(() => {
    if (own === bench) return;
    setBench(own);
    const place = placeOf(name, kernel, breakage);
    if (place !== null && !lab.hidden.includes('broken')) handle.current?.goTo(place, false);
  }, [given]);
  // biome-ignore lint/correctness/useExhaustiveDependencies: whenever another text is given, and when there is a device to run it on.
  useEffect(() => {
    if (canRun && device !== null) void run(name, own.ran);
  }, [given, canRun, device]);
  const checked = check.checked?.name === name ? check.checked : null;
  const wrongAt = useMemo(() => placesIn(checked), [checked]);
  const isOld = checked !== null && !isSame(checked.texts, texts);
  const isHandedOut = [...lab.locked, ...lab.hidden].includes('broken') && breakage !== UNBROKEN;
  const start = (text: ShaderTexts) => {
    setBench((before) => ({ ...(before ?? own), ran: text }));
    void run(name, text);
  };
  const bringBack = (): void => {
    // What another text is given for is run anyway.
    if (!isHandedOut && breakage !== UNBROKEN) lab.set('broken', UNBROKEN);
    else start(given);
    setTexts(given);
  };
  return (
    <>
      <div className="shader-bench">
        <Step title={say`Read it, break it, run it`}>
          <ShaderText
            {...{ name, kernel, texts, wrongAt, handle, isHandedOut }}
            given={isHandedOut ? given : kernel.files}
            canRun={canRun && device !== null}
            isRunning={check.isRunning}
            onTexts={setTexts}
            onBack={bringBack}
            onRun={start}
            onStop={check.stop}
          />
        </Step>
        <Computed
          {...{ name, kernel, device, isOld }}
          own={checked}
          goTo={(place) => handle.current?.goTo(place, true)}
        />
      </div>
      <p className="shader-note">
        {rich`A text that writes beyond the end of a buffer harms nothing: ${<Term of="WebGPU" />} keeps it inside. Loops get a budget before anything is compiled, so a text that never ends is left and named by its line.`}
      </p>
      <Breakages {...{ name, isHandedOut }} isOffered={!lab.hidden.includes('broken')} />
    </>
  );
}

/** The formula, what came of the last run, and its picture. */
function Computed(props: {
  readonly name: KernelName;
  readonly kernel: ShaderKernel;
  readonly device: ReturnType<typeof useDevice>['device'];
  readonly own: Checked | null;
  /** Whether the text has changed since. */
  readonly isOld: boolean;
  readonly goTo: (place: ReaderPlace) => void;
}) {
  const { name, kernel, device, own, isOld, goTo } = props;
  const index = useLab().number('size') - 1;
  const result = own?.answer.kind === 'checked' ? own.answer.cases : null;
  useShown({
    wrong: result?.[index]?.wrong.length ?? null,
    all: result?.reduce((sum, { wrong }) => sum + wrong.length, 0) ?? null,
  });
  return (
    <Step title={say`What it computes`}>
      {FORMULAS[name].map((source) => (
        <Formula key={source} source={source} />
      ))}
      {formulasNote(name) === null ? null : <p className="hint">{formulasNote(name)}</p>}
      {own === null ? null : <Verdict {...{ name, kernel, goTo, answer: own.answer }} />}
      {isOld ? <p className="hint">{say`The text has changed since this run.`}</p> : null}
      <LabControl
        name="size"
        label={say`Sizes`}
        titleOf={(value) => sizeTitle(name, kernel.cases[Number(value) - 1]!.sizes)}
      />
      <CellFigure {...{ name, device }} shown={kernel.cases[index]!} checked={result?.[index] ?? null} />
    </Step>
  );
}

/** Ways to break it that can be pressed; where somebody has hidden what is broken, they are not told. */
function Breakages(props: {
  readonly name: KernelName;
  readonly isOffered: boolean;
  readonly isHandedOut: boolean;
}) {
  const { name, isOffered, isHandedOut } = props;
  const lab = useLab();
  if (!isOffered)
    return (
      <TryThis
        items={[say`Run the text and find the line: which cells are wrong, and what do they have in common?`]}
      />
    );
  const isLocked = lab.locked.includes('broken');
  return (
    <>
      <TryThis
        items={BREAKAGES[name].map(({ id, from, to }) => (
          <>
            {breakageShows(name, id)}{' '}
            <code className="shader-change">
              <del>{shortly(from)}</del>
              <ins>{shortly(to)}</ins>
            </code>
            {isLocked ? null : (
              <Action
                kind="link"
                text={say`Break this: ${breakageTitle(name, id)}`}
                isDisabled={lab.text('broken') === id}
                onPress={() => lab.set('broken', id)}
              />
            )}
          </>
        ))}
      />
      {isHandedOut ? null : (
        <LabControl
          name="broken"
          label={say`What is broken`}
          titleOf={(value) => breakageTitle(name, value)}
        />
      )}
    </>
  );
}

/** Edits of a line that begin with the line before it show their own alone. */
const shortly = (part: string): string => part.split('\n')[0]!.trim();

/** The line that a breakage changes. */
function placeOf(name: KernelName, { files }: ShaderKernel, id: string): ReaderPlace | null {
  const breakage = BREAKAGES[name].find((one) => one.id === id);
  if (breakage === undefined) return null;
  const { path, from } = breakage;
  const text = files[path]!;
  return { path, line: text.slice(0, text.indexOf(from)).split('\n').length };
}
