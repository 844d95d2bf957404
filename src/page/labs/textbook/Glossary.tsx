/** Terms: where a page first uses one it says what it means when pointed at and leads to the glossary, which is a page of its own. */
import { type ReactNode, useEffect, useRef } from 'react';
import { language } from '../../../common.ts';
import { useLab } from '../useLab.ts';
import { GLOSSARY, type TermName } from './glossary.ts';

export function Term({ of, children }: { readonly of: TermName; readonly children?: ReactNode }) {
  const { word, means } = GLOSSARY[of];
  return (
    <a className="lab-term" href={`#page=glossary&term=${of}`} title={means()}>
      {children ?? word()}
    </a>
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
