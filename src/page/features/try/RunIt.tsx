/** The merged file and the one before it in onnxruntime-web, here: they write on one prompt, or answer to one text or drawing. */
import { type FormEvent, useState } from 'react';
import { useStore } from 'zustand';
import { facts, say } from '../../../common.ts';
import type { Side, Writing } from '../../../inference.ts';
import { brief, rate, real } from '../../format.ts';
import { Action } from '../../parts/Action.tsx';
import { TextField } from '../../parts/Controls.tsx';
import { ErrorText } from '../../parts/Errors.tsx';
import { Block } from '../../parts/Facts.tsx';
import { Measured } from '../../parts/Measured.tsx';
import { DrawPad } from '../../parts/Pictures.tsx';
import { rich } from '../../parts/rich.ts';
import { Sentences } from '../../parts/Sentences.tsx';
import { OfStep, Waiting } from '../../parts/Waiting.tsx';
import { usePage, useRun } from '../../usePage.ts';
import { BothBars } from './BeforeAfter.tsx';
import { asksFor, SIDES, type TryView } from './try.ts';

const TITLES = (): Readonly<Record<Side, string>> => ({ before: say`before`, after: say`merged` });

export function RunIt() {
  const page = usePage();
  const merged = useRun((s) => s.merged);
  const kind = useRun((s) => s.open?.data.kind ?? null);
  const picture = useRun((s) => s.open?.data.picture ?? null);
  const { busy, error, hasNewHead, provider, writing, answer } = useStore(page.try.view);
  // The parity check uses onnxruntime first.
  const isChecking = useRun((s) => s.busy !== null);
  if (merged === null || kind === null) return null;
  const asks = asksFor(kind);
  const isBusy = busy !== null || isChecking;
  return (
    <Block title={say`Run it`} className="run-it">
      <OfStep step={merged.step} />
      <p className="hint">
        <Sentences>
          {hasNewHead
            ? say`Both files in onnxruntime, in this tab: the merged one and the one before, whose classifier was made anew for this data and never trained.`
            : say`Both files in onnxruntime, in this tab: the merged one and the one before.`}
          {provider === null ? null : say`Provider: ${provider}.`}
        </Sentences>
      </p>
      {asks === 'writing' ? <WriteForm isBusy={isBusy} /> : null}
      {asks === 'text' ? <TextForm isBusy={isBusy} kind={kind} /> : null}
      {asks === 'picture' && picture !== null ? (
        <DrawPad
          size={Math.max(picture.width, picture.height)}
          label={say`Draw something for both files to read`}
          action={say`Ask both files`}
          keepsDrawing
          tones={picture.tones}
          isDisabled={isBusy}
          onDone={(pixels) => void page.try.ask({ pixels, size: Math.max(picture.width, picture.height) })}
        />
      ) : null}
      <p role="status">
        {busy === null ? null : (
          <>
            <Waiting what={busy} news={writing ?? busy} />{' '}
            <Action text={say`Stop`} onPress={() => void page.try.stop()} />
          </>
        )}
      </p>
      {error === null ? null : <ErrorText report={error} />}
      {writing === null ? null : (
        <div className="texts">
          {SIDES.map((side) => (
            <Written key={side} title={TITLES()[side]} writing={writing[side]} />
          ))}
        </div>
      )}
      {answer === null ? null : <Answered answer={answer} />}
    </Block>
  );
}

/** A box for a text of some lines. */
function PromptBox(props: {
  readonly label: string;
  readonly value: string;
  readonly onText: (text: string) => void;
}) {
  return (
    <label className="prompt-text">
      <span className="field-label">{props.label}</span>
      <textarea
        className="box"
        rows={2}
        value={props.value}
        onChange={(event) => props.onText(event.target.value)}
      />
    </label>
  );
}

function WriteForm({ isBusy }: { readonly isBusy: boolean }) {
  const page = usePage();
  const [prompt, setPrompt] = useState('');
  const [tokens, setTokens] = useState('60');
  const [temperature, setTemperature] = useState('0');
  const [topP, setTopP] = useState('0.95');
  const [seed, setSeed] = useState('1');
  const isGreedy = !(Number(temperature) > 0);
  const submit = (event: FormEvent) => {
    event.preventDefault();
    void page.try.write({
      prompt,
      maxTokens: Math.max(1, Math.round(Number(tokens)) || 1),
      temperature: isGreedy ? 0 : Number(temperature),
      topP: Math.min(1, Number(topP) > 0 ? Number(topP) : 1),
      seed: Math.round(Number(seed)) || 0,
    });
  };
  const number = (label: string, value: string, set: (text: string) => void, isOff = false) => (
    <TextField
      className=""
      label={label}
      isNumber
      inputMode="decimal"
      value={value}
      disabled={isOff}
      onText={set}
    />
  );
  return (
    <form className="row prompt" onSubmit={submit}>
      <PromptBox label={say`Prompt`} value={prompt} onText={setPrompt} />
      {number(say`Tokens`, tokens, setTokens)}
      {number(say`Temperature`, temperature, setTemperature)}
      {number('Top-p', topP, setTopP, isGreedy)}
      {number(say`Seed`, seed, setSeed, isGreedy)}
      <Action text={say`Write with both files`} type="submit" isDisabled={isBusy} />
      <p className="hint prompt-hint">
        {isGreedy
          ? say`Greedy: temperature 0 always takes the likeliest token.`
          : say`Both files draw with the same seed.`}
      </p>
    </form>
  );
}

function TextForm({ isBusy, kind }: { readonly isBusy: boolean; readonly kind: string }) {
  const page = usePage();
  const hasPair = useStore(page.data.view, (s) => Boolean(s.preview?.mapping.pair));
  const [text, setText] = useState('');
  const [pair, setPair] = useState('');
  return (
    <form
      className="row prompt"
      onSubmit={(event) => {
        event.preventDefault();
        void page.try.ask(hasPair && pair !== '' ? { text, pair } : { text });
      }}
    >
      <PromptBox
        label={kind === 'masked-text' ? say`Text with the mask token` : say`Text`}
        value={text}
        onText={setText}
      />
      {hasPair ? <PromptBox label={say`Second text`} value={pair} onText={setPair} /> : null}
      <Action text={say`Ask both files`} type="submit" isDisabled={isBusy || text.trim() === ''} />
    </form>
  );
}

function Written({ title, writing }: { readonly title: string; readonly writing: Writing }) {
  const { text, tokens, tokensPerSecond, promptTokens, promptSeconds, isCached, isDone } = writing;
  return (
    <div className="text-side" aria-busy={!isDone}>
      <h4>{title}</h4>
      <p className="text-body">
        {text}
        {isDone ? null : <span className="caret" aria-hidden="true" />}
      </p>
      <p className="hint">
        {facts([
          ...(promptSeconds === null ? [] : [say`${promptTokens} prompt tokens in ${brief(promptSeconds)}`]),
          ...(tokensPerSecond === null ? [] : [say`then ${rate(tokensPerSecond)} tokens/s`]),
          say`${tokens} new`,
          isCached ? say`with the file’s cache` : say`without a cache: the file has none`,
        ])}
        <Measured of="writing" about={say`tokens a second, ${title}`} />
      </p>
    </div>
  );
}

function Answered({ answer }: { readonly answer: NonNullable<TryView['answer']> }) {
  if (answer.kind === 'number')
    return <p>{rich`Before: ${<b>{real(answer.before)}</b>}. Merged: ${<b>{real(answer.after)}</b>}.`}</p>;
  return (
    <ul>
      {answer.rows.map((row, i) => (
        // biome-ignore lint/suspicious/noArrayIndexKey: a token's place is what it is.
        <li key={i} className="example example-text">
          {answer.rows.length > 1 ? <p className="example-text-body">{row.title}</p> : null}
          <BothBars labels={row.labels} before={row.before} after={row.after} title={say`merged`} />
        </li>
      ))}
    </ul>
  );
}
