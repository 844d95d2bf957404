/** The kernel's files in the editor, with what each part of them does, and the buttons that run it and bring it back. */
import { type Ref, useEffect, useImperativeHandle, useMemo, useRef, useState } from 'react';
import { say } from '../../../common.ts';
import {
  fileName,
  type KernelName,
  PARTS,
  type ReaderPlace,
  type ShaderKernel,
  type ShaderTexts,
  symbolsOf,
} from '../../../labs.ts';
import { Action } from '../../parts/Action.tsx';
import { Segments } from '../../parts/Controls.tsx';
import { useHeld } from '../../parts/held.tsx';
import { Editor, type EditorHandle, type EditorLine } from './Editor.tsx';
import { idleLines, movedLines } from './lines.ts';
import { partSays } from './words.ts';

export interface TextHandle {
  goTo(place: ReaderPlace, withFocus: boolean): void;
}

interface ShaderTextProps {
  readonly name: KernelName;
  readonly kernel: ShaderKernel;
  readonly texts: ShaderTexts;
  /** What Bring back brings back: the files as they are, or as somebody has handed them out. */
  readonly given: ShaderTexts;
  readonly isHandedOut: boolean;
  /** Where the last run found something wrong with the text. */
  readonly wrongAt: readonly ReaderPlace[];
  readonly canRun: boolean;
  readonly isRunning: boolean;
  readonly handle: Ref<TextHandle>;
  readonly onTexts: (texts: ShaderTexts) => void;
  readonly onBack: () => void;
  readonly onRun: (texts: ShaderTexts) => void;
  readonly onStop: () => void;
}

export function ShaderText(props: ShaderTextProps) {
  const { name, kernel, texts, given, isHandedOut, wrongAt, canRun, isRunning, handle } = props;
  const { onTexts, onBack, onRun, onStop } = props;
  const paths = Object.keys(kernel.files);
  const [chosen, setChosen] = useHeld(`file ${name}`, () => paths[0]!);
  const path = paths.includes(chosen) ? chosen : paths[0]!;
  const editor = useRef<EditorHandle>(null);
  const [line, setLine] = useState(0);
  const lines = useLines(name, kernel, path, { text: texts[path]!, given: given[path]!, wrongAt });
  const symbol = lines[line - 1]?.symbol ?? null;
  const isEdited = paths.some((one) => texts[one] !== given[one]);
  const goTo = (place: ReaderPlace, withFocus: boolean): void => {
    setChosen(place.path);
    // The other file's text comes with the next drawing.
    requestAnimationFrame(() => editor.current?.goTo(place.line, withFocus));
  };
  useImperativeHandle(handle, () => ({ goTo }));
  // The first coloured line is in sight; nothing is lit before somebody points at it.
  // biome-ignore lint/correctness/useExhaustiveDependencies: once for each file that is opened.
  useEffect(() => {
    editor.current?.show(1 + lines.findIndex(({ symbol: own }) => own !== null));
  }, [path]);
  const bringBack = (): void => {
    editor.current?.replace(given[path]!);
    onBack();
  };
  return (
    <div className="shader-files">
      {paths.length === 1 ? (
        <p className="shader-path">{fileName(path)}</p>
      ) : (
        <Segments
          label={say`File`}
          value={path}
          items={paths.map((one) => ({ id: one, title: fileName(one) }))}
          onChange={setChosen}
        />
      )}
      <Editor
        key={`${name} ${path}`}
        {...{ path, text: texts[path]!, lines }}
        handle={editor}
        onText={(text) => onTexts({ ...texts, [path]: text })}
        onRun={() => {
          if (canRun) onRun(texts);
        }}
        onLine={setLine}
      />
      <p className="shader-line-says" data-testid="shader-line-says">
        {symbol === null
          ? say`Point at a coloured line, a symbol or a cell to see what belongs together.`
          : say`Line ${line}: ${partSays(name, symbol)}`}
      </p>
      <p className="row">
        {isRunning ? (
          <Action icon="pause" text={say`Stop`} onPress={onStop} />
        ) : (
          <Action
            icon="play"
            kind="strong"
            text={say`Run`}
            isDisabled={!canRun}
            onPress={() => onRun(texts)}
          />
        )}
        <Action
          icon="reset"
          data-testid="shader-back"
          text={isHandedOut ? say`Back to the text as it was handed out` : say`Bring the original back`}
          isDisabled={!isEdited}
          onPress={bringBack}
        />
      </p>
      <PartList {...{ name, kernel }} goTo={(place) => goTo(place, true)} />
    </div>
  );
}

/** What each part does, as a way to its first line. */
function PartList(props: {
  readonly name: KernelName;
  readonly kernel: ShaderKernel;
  readonly goTo: (place: ReaderPlace) => void;
}) {
  const { name, kernel, goTo } = props;
  return (
    <ul className="shader-parts" aria-label={say`What the lines do`}>
      {PARTS[name].map(({ symbol }) => {
        const at = firstLine(name, kernel, symbol);
        return (
          <li key={symbol} className={`sym-${symbol}`}>
            <Action kind="link" text={partSays(name, symbol)} onPress={() => at && goTo(at)} />
          </li>
        );
      })}
    </ul>
  );
}

/** Where a part begins in the files as they are. */
function firstLine(name: KernelName, { files }: ShaderKernel, symbol: string): ReaderPlace | null {
  for (const [path, symbols] of Object.entries(symbolsOf(name, files))) {
    const at = symbols.indexOf(symbol);
    if (at >= 0) return { path, line: at + 1 };
  }
  return null;
}

/** What is known of every line of a text that may have been edited. */
function useLines(
  name: KernelName,
  kernel: ShaderKernel,
  path: string,
  {
    text,
    given,
    wrongAt,
  }: { readonly text: string; readonly given: string; readonly wrongAt: readonly ReaderPlace[] },
): readonly EditorLine[] {
  return useMemo(() => {
    const original = kernel.files[path]!;
    const before = original.split('\n');
    const now = text.split('\n');
    const symbols = symbolsOf(name, kernel.files)[path]!;
    const idle = idleLines(original, kernel.reached);
    const from = movedLines(before, now);
    // A line that somebody has handed out broken is not told by its mark.
    const own = given.split('\n');
    const fromOwn = movedLines(own, now);
    return now.map((line, i): EditorLine => {
      const at = from[i]!;
      return {
        symbol: at === null ? null : symbols[at]!,
        isChanged: own[fromOwn[i] ?? -1] !== line,
        isIdle: at !== null && idle[at]!,
        isWrong: wrongAt.some((place) => place.path === path && place.line === i + 1),
      };
    });
  }, [name, kernel, path, text, given, wrongAt]);
}
