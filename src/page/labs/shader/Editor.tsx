/**
 * The editor of a shader: a plain text box, which keys, screen readers and the browser's own undo know, over the same text with a number at every line and
 * lines marked by the symbol that they belong to.
 */
import {
  type CSSProperties,
  type KeyboardEvent,
  type PointerEvent,
  type Ref,
  type UIEvent,
  useId,
  useImperativeHandle,
  useRef,
  useState,
} from 'react';
import { say } from '../../../common.ts';
import { fileName, MOST_LETTERS } from '../../../labs.ts';

/** As the styles have it. */
const LINE_HEIGHT = 19;
/** Lines that are drawn at once, and of those how many stand above what is in sight. */
const MOST_DRAWN = 800;
const AROUND = 300;
/** Above the first line. */
const PADDING = 8;
/** Lines above the one that is gone to. */
const LEAD = 6;

export interface EditorLine {
  readonly symbol: string | null;
  readonly isChanged: boolean;
  readonly isIdle: boolean;
  readonly isWrong: boolean;
}

export interface EditorHandle {
  /** Scrolls to a line. */
  show(line: number): void;
  /** Shows a line, with the caret in it. */
  goTo(line: number, withFocus: boolean): void;
  /** Puts another text in place of all, which undo takes back. */
  replace(text: string): void;
}

/** Lights what belongs to a symbol, as pointing at it would. */
function light(at: Element, symbol: string | null): void {
  const lights = at.closest<HTMLElement>('.lights');
  if (lights === null) return;
  if (symbol === null) delete lights.dataset.lit;
  else lights.dataset.lit = symbol;
}

interface EditorProps {
  readonly path: string;
  readonly text: string;
  readonly lines: readonly EditorLine[];
  readonly handle: Ref<EditorHandle>;
  readonly onText: (text: string) => void;
  readonly onRun: () => void;
  /** The line that is pointed at or that the caret is in; the first is 1. */
  readonly onLine: (line: number) => void;
}

export function Editor({ path, text, lines, handle, onText, onRun, onLine }: EditorProps) {
  const box = useRef<HTMLTextAreaElement>(null);
  const [scroll, setScroll] = useState({ left: 0, top: 0 });
  const hint = useId();
  const seen = (line: number, at: Element) => {
    onLine(line);
    light(at, lines[line - 1]?.symbol ?? null);
  };
  const caretMoved = ({ currentTarget }: { readonly currentTarget: HTMLTextAreaElement }) =>
    seen(currentTarget.value.slice(0, currentTarget.selectionStart).split('\n').length, currentTarget);
  const pointed = ({ currentTarget, clientY }: PointerEvent<HTMLTextAreaElement>) => {
    const y = clientY - currentTarget.getBoundingClientRect().top + currentTarget.scrollTop - PADDING;
    const line = Math.floor(y / LINE_HEIGHT) + 1;
    if (line >= 1 && line <= lines.length) seen(line, currentTarget);
  };
  const scrolled = ({ currentTarget: { scrollLeft: left, scrollTop: top } }: UIEvent<HTMLTextAreaElement>) =>
    setScroll({ left, top });
  const pressed = (event: KeyboardEvent) => {
    if (event.key !== 'Enter' || !(event.ctrlKey || event.metaKey)) return;
    event.preventDefault();
    onRun();
  };
  const show = (line: number) => box.current?.scrollTo(0, Math.max(0, (line - LEAD) * LINE_HEIGHT + PADDING));
  useImperativeHandle(handle, () => ({
    show,
    goTo(line, withFocus) {
      const own = box.current;
      if (own === null) return;
      const before = own.value.split('\n').slice(0, line - 1);
      const at = before.reduce((sum, one) => sum + one.length + 1, 0);
      own.setSelectionRange(at, at);
      show(line);
      if (withFocus) own.focus();
      seen(line, own);
    },
    replace(next) {
      const own = box.current;
      if (own === null || own.value === next) return;
      own.focus({ preventScroll: true });
      own.select();
      // Of all ways to change a text box only this one is taken back by undo.
      if (!document.execCommand('insertText', false, next)) onText(next);
      own.setSelectionRange(0, 0);
      own.scrollTo(0, 0);
    },
  }));
  return (
    <div className="shader-editor">
      <div className="shader-text">
        <Under {...{ text, lines, scroll }} />
        <textarea
          ref={box}
          aria-label={say`Text of ${fileName(path)}`}
          aria-describedby={hint}
          data-testid="shader-text"
          // One more than is run, so that a longer one is refused with its length and not cut without a word.
          maxLength={MOST_LETTERS + 1}
          {...{ value: text, wrap: 'off', spellCheck: false, autoCapitalize: 'off', autoComplete: 'off' }}
          onChange={(event) => onText(event.target.value)}
          onScroll={scrolled}
          onSelect={caretMoved}
          onPointerMove={pointed}
          onKeyDown={pressed}
        />
      </div>
      <p id={hint} className="hint">
        {say`Tab leaves the text. Ctrl and Enter run it; Ctrl and Z take back. Pale lines are not run in this lab.`}
      </p>
    </div>
  );
}

/** What is seen of the text: the box over it is clear but for its caret. */
function Under({
  text,
  lines,
  scroll,
}: {
  readonly text: string;
  readonly lines: readonly EditorLine[];
  readonly scroll: { readonly left: number; readonly top: number };
}) {
  const all = text.split('\n');
  // Of a long text what is in sight is drawn, and a little around it.
  const from = all.length > MOST_DRAWN ? Math.max(0, Math.floor(scroll.top / LINE_HEIGHT) - AROUND) : 0;
  const style = {
    ...{ '--left': `${-scroll.left}px`, '--top': `${from * LINE_HEIGHT - scroll.top}px` },
    counterReset: `line ${from}`,
  };
  return (
    <pre className="shader-under" aria-hidden="true" style={style as CSSProperties}>
      {all.slice(from, from + MOST_DRAWN).map((line, i) => (
        // biome-ignore lint/suspicious/noArrayIndexKey: a line is its number.
        <div key={from + i} className={classOf(lines[from + i])}>
          {line}
        </div>
      ))}
    </pre>
  );
}

function classOf(line: EditorLine | undefined): string {
  const { symbol = null, isChanged = false, isIdle = false, isWrong = false } = line ?? {};
  const classes = ['shader-line'];
  if (symbol !== null) classes.push(`sym-${symbol}`);
  if (isChanged) classes.push('is-changed');
  if (isIdle) classes.push('is-idle');
  if (isWrong) classes.push('is-wrong');
  return classes.join(' ');
}
