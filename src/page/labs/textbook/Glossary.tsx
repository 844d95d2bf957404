/** Terms: where a page first uses one it says what it means when pointed at or pressed, and leads to the glossary, which is a page of its own. */
import { type ReactNode, useEffect, useId, useRef, useState } from 'react';
import { language, say } from '../../../common.ts';
import { useLab } from '../useLab.ts';
import { GLOSSARY, type TermName } from './glossary.ts';

/** Pixels between the meaning of a term and an edge of the window. */
const EDGE = 8;

export function Term({ of, children }: { readonly of: TermName; readonly children?: ReactNode }) {
  const { word, means } = GLOSSARY[of];
  const tip = useRef<HTMLSpanElement>(null);
  const id = useId();
  // Escape puts it away, and it comes back when it is pointed at or reached anew.
  const [isShut, setShut] = useState(false);
  useEffect(() => {
    const shut = ({ key }: KeyboardEvent) => {
      if (key === 'Escape') setShut(true);
    };
    addEventListener('keydown', shut);
    return () => removeEventListener('keydown', shut);
  }, []);
  // Never beyond an edge of the window.
  const place = () => {
    const box = tip.current!;
    box.style.translate = '';
    const { left, right } = box.getBoundingClientRect();
    const least = EDGE - left;
    const most = document.documentElement.clientWidth - EDGE - right;
    if (least > 0 || most < 0) box.style.translate = `${String(Math.max(least, Math.min(0, most)))}px`;
  };
  const open = () => {
    setShut(false);
    place();
  };
  return (
    // biome-ignore lint/a11y/noStaticElementInteractions: only where the meaning stands is worked out here; its button can be reached by keys.
    <span className="lab-term" data-shut={isShut || undefined} onPointerEnter={open} onFocus={open}>
      <button type="button" aria-describedby={id}>
        {children ?? word()}
      </button>
      <span ref={tip} className="lab-term-tip">
        <span id={id} role="tooltip">
          {means()}
        </span>{' '}
        <a href={`#page=glossary&term=${of}`}>{say`In the glossary`}</a>
      </span>
    </span>
  );
}

/** The term that the address names is marked and brought into view. */
export default function Glossary() {
  const term = useLab().text('term');
  const list = useRef<HTMLDListElement>(null);
  useEffect(() => {
    list.current!.querySelector(`#term-${term}`)?.scrollIntoView({ block: 'center' });
  }, [term]);
  const { locale } = language();
  const entries = Object.entries(GLOSSARY)
    .map(([name, { word, means }]) => ({ name, word: word(), means: means() }))
    .sort((a, b) => a.word.localeCompare(b.word, locale));
  return (
    <dl ref={list} className="lab-glossary">
      {entries.map(({ name, word, means }) => (
        <div key={name} id={`term-${name}`} className={name === term ? 'is-meant' : undefined}>
          <dt>{word}</dt>
          <dd>{means}</dd>
        </div>
      ))}
    </dl>
  );
}
