/** What stands around every lab: the lesson that its link has, what of it is not used, the lab's steps, the ways on, and how a lesson is made of it. */
import { Suspense, useEffect, useMemo } from 'react';
import { errorReport, language, say } from '../../common.ts';
import type { LessonView } from '../lessons/state.ts';
import { Action } from '../parts/Action.tsx';
import { Lights } from '../parts/Formula.tsx';
import { Holding, useHeld } from '../parts/held.tsx';
import { later } from '../parts/later.tsx';
import type { LabEntry } from './catalogue.ts';
import { EnginePicker } from './EnginePicker.tsx';
import { startOf } from './link.ts';
import { MakeLesson, valueIn } from './MakeLesson.tsx';
import { GLOSSARY_PAGE } from './textbook/pages.ts';
import { hashOf, placeText, WAY } from './textbook/way.ts';
import { LabContext, useLab, useLabState } from './useLab.ts';

const LessonCard = later('LessonCard', () => import('../lessons/LessonCard.tsx'));

/** The lesson of the link; null while it is being opened. */
function useLesson(packed: string | null, place: string): LessonView | null {
  const [view, setView] = useHeld<LessonView | null>('lesson', () => null);
  // What is wrong with it is said anew in another language.
  const isOpen = view !== null && view.problems.length === 0;
  // biome-ignore lint/correctness/useExhaustiveDependencies: a lesson is opened once for each time that its place is drawn.
  useEffect(() => {
    if (packed === null || isOpen) return;
    let isCurrent = true;
    // Only a link that has one needs what opens it.
    const opening = import('../lessons/pack.ts').then(({ openLesson }) => openLesson(packed, place));
    opening
      .catch((error: unknown) => ({ packed, lesson: null, problems: [errorReport(error).message] }))
      .then((opened) => {
        if (isCurrent) setView(opened);
      });
    return () => {
      isCurrent = false;
    };
  }, [packed, place]);
  return view;
}

interface FrameProps {
  readonly entry: LabEntry;
  /** The lesson of the link, as it is there. */
  readonly packed: string | null;
}

export function LabFrame(props: FrameProps) {
  return (
    <Holding name={`${props.entry.id} ${props.packed}`}>
      <Opened {...props} />
    </Holding>
  );
}

function Opened({ entry, packed }: FrameProps) {
  const view = useLesson(packed, entry.id);
  if (packed === null) return <LabAround entry={entry} view={null} />;
  if (view === null) return <p className="hint lab">{say`The lesson is being opened …`}</p>;
  return <LabAround entry={entry} view={view} />;
}

/** The lesson that is open, and the way out of it. */
function LessonOf({ entry }: { readonly entry: LabEntry }) {
  const lab = useLab();
  if (lab.lesson === null) return null;
  return (
    <LessonCard lesson={lab.lesson} quantities={entry.quantities} valueNow={valueIn(lab.shown)}>
      <p className="row lesson-ways">
        <Action kind="link" icon="reset" text={say`Back to the start of the lesson`} onPress={lab.reset} />
        <Action
          kind="link"
          icon="cross"
          text={say`Leave the lesson: everything can be moved again`}
          onPress={lab.leave}
        />
      </p>
    </LessonCard>
  );
}

function LabAround({ entry, view }: { readonly entry: LabEntry; readonly view: LessonView | null }) {
  const { id, controls } = entry;
  const lesson = view?.lesson ?? null;
  const start = useMemo(() => {
    const usual = startOf(controls, view?.packed ?? null, view?.lesson ?? null);
    return { ...usual, problems: [...(view?.problems ?? []), ...usual.problems] };
  }, [controls, view]);
  const lab = useLabState({ id, kind: entry.isPage ? 'page' : 'lab', controls, start, lesson });
  const at = WAY.indexOf(entry);
  const [before, after] = at < 0 ? [] : [WAY[at - 1], WAY[at + 1]];
  const isGlossary = entry === GLOSSARY_PAGE;
  const { locale } = language();
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
          <LessonOf entry={entry} />
          <Suspense fallback={<p className="hint">{say`This page is being loaded …`}</p>}>
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
          {isGlossary || entry.engine !== undefined ? null : <EnginePicker />}
          {isGlossary ? null : <MakeLesson entry={entry} />}
        </article>
      </Lights>
    </LabContext>
  );
}
