/** What stands around every lab: what the link said that is not used, its steps, the ways on, and a link for others. */
import { Suspense, useEffect } from 'react';
import { language, say } from '../../common.ts';
import { Action } from '../parts/Action.tsx';
import type { LabEntry } from './catalogue.ts';
import { Lights } from './Formula.tsx';
import { TeacherLink } from './TeacherLink.tsx';
import { GLOSSARY_PAGE } from './textbook/pages.ts';
import { hashOf, placeText, WAY } from './textbook/way.ts';
import { LabContext, useLabState } from './useLab.ts';

/** Folds are open on paper: nobody can press them there. */
function useOpenFoldsInPrint(): void {
  useEffect(() => {
    const open = () => {
      for (const fold of document.querySelectorAll('details')) fold.open = true;
    };
    addEventListener('beforeprint', open);
    return () => removeEventListener('beforeprint', open);
  }, []);
}

export function LabFrame({ entry }: { readonly entry: LabEntry }) {
  const lab = useLabState(entry.id, entry.controls, entry.isPage ? 'page' : 'lab');
  const at = WAY.indexOf(entry);
  const [before, after] = at < 0 ? [] : [WAY[at - 1], WAY[at + 1]];
  const isGlossary = entry === GLOSSARY_PAGE;
  const { locale } = language();
  useOpenFoldsInPrint();
  // biome-ignore lint/correctness/useExhaustiveDependencies: the title is in the language that is spoken.
  useEffect(() => {
    document.title = `${entry.title()} · Papilio`;
  }, [entry, locale]);
  return (
    <LabContext value={lab}>
      <Lights>
        <article className="lab" data-testid={`lab-${entry.id}`}>
          {isGlossary ? null : <p className="lab-place">{placeText(entry)}</p>}
          <h1>{entry.title()}</h1>
          <p className="lab-what">{entry.what()}</p>
          {lab.problems.map((problem) => (
            <p key={problem} className="warning" role="alert">
              {problem}
            </p>
          ))}
          <Suspense fallback={null}>
            <entry.View />
          </Suspense>
          <div className="row lab-ways">
            {isGlossary ? null : (
              <Action
                icon="reset"
                text={entry.isPage ? say`Back to the start of this page` : say`Back to the start of this lab`}
                onPress={lab.reset}
              />
            )}
            {before === undefined ? null : <a href={hashOf(before)}>{say`Before: ${before.title()}`}</a>}
            {after === undefined ? null : <a href={hashOf(after)}>{say`Next: ${after.title()}`}</a>}
            <a href="#start">{say`All labs and pages`}</a>
            {isGlossary ? null : <a href="#page=glossary">{say`Glossary`}</a>}
          </div>
          {isGlossary ? null : <TeacherLink />}
        </article>
      </Lights>
    </LabContext>
  );
}
