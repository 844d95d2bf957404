/** A lesson that is made, to be handed out: its link with its length, its file, its JSON to read, and a file to open in its place. */
import { useEffect, useRef, useState } from 'react';
import { errorReport, say } from '../../common.ts';
import { saveFile } from '../exports.ts';
import { whole } from '../format.ts';
import { Action } from '../parts/Action.tsx';
import { Fold } from '../parts/Controls.tsx';
import { fileStem } from '../parts/numberFiles.ts';
import { Sentences } from '../parts/Sentences.tsx';
import type { Lesson } from './lesson.ts';
import { addressOf, lessonJson } from './lessonFile.ts';
import { OpenLesson } from './OpenLesson.tsx';
import { LONG_LINK_LETTERS, MOST_LINK_LETTERS } from './pack.ts';

const SAID_MS = 2500;

/** The whole address of a lesson; null while it is being packed or there is none. */
function useAddress(lesson: Lesson | null): {
  readonly link: string | null;
  readonly problem: string | null;
} {
  const [made, setMade] = useState<{
    readonly of: string;
    readonly link: string | null;
    readonly problem: string | null;
  }>();
  const json = lesson === null ? '' : JSON.stringify(lesson);
  useEffect(() => {
    if (json === '') return;
    let isCurrent = true;
    addressOf(JSON.parse(json) as Lesson).then(
      (address) => {
        if (isCurrent) setMade({ of: json, link: new URL(address, location.href).href, problem: null });
      },
      (error: unknown) => {
        if (isCurrent) setMade({ of: json, link: null, problem: errorReport(error).message });
      },
    );
    return () => {
      isCurrent = false;
    };
  }, [json]);
  return made?.of === json ? made : { link: null, problem: null };
}

/** @param lesson null while what is written is none */
export function HandOut({ lesson }: { readonly lesson: Lesson | null }) {
  const { link, problem } = useAddress(lesson);
  const isLong = (link?.length ?? 0) > MOST_LINK_LETTERS;
  return (
    <div className="stack">
      {link === null ? null : <LinkLine link={link} isLong={isLong} />}
      {problem === null ? null : (
        <p className="warning" role="alert">
          {problem}
        </p>
      )}
      <p className="row">
        <Action
          icon="download"
          text={say`Save as a file`}
          isDisabled={lesson === null}
          onPress={() => {
            if (lesson !== null)
              saveFile(`${fileStem(lesson.title || 'lesson')}.json`, lessonJson(lesson), 'application/json');
          }}
        />
        <OpenLesson />
      </p>
      {lesson === null ? null : (
        <Fold summary={say`The lesson as JSON`}>
          {/* biome-ignore lint/a11y/noNoninteractiveTabindex: what scrolls is reached by keys, too. */}
          <pre className="lesson-json mono" tabIndex={0} data-testid="lesson-json">
            {lessonJson(lesson)}
          </pre>
        </Fold>
      )}
    </div>
  );
}

/** The link, its length against what can be handed out, and the way to the clipboard. */
function LinkLine({ link, isLong }: { readonly link: string; readonly isLong: boolean }) {
  const [said, setSaid] = useState<string | null>(null);
  const box = useRef<HTMLInputElement>(null);
  const copy = async () => {
    try {
      await navigator.clipboard.writeText(link);
      setSaid(say`Copied`);
      setTimeout(() => setSaid(null), SAID_MS);
    } catch {
      box.current?.focus();
      box.current?.select();
      setSaid(
        say`The browser does not let the page copy. The link is selected: copy it with the keys of your system.`,
      );
    }
  };
  return (
    <>
      <p className="row">
        <input
          ref={box}
          className="box lesson-link"
          readOnly
          aria-label={say`The lesson’s link`}
          data-testid="lesson-link"
          value={link}
        />
        <Action icon="link" text={say`Copy the link`} isDisabled={isLong} onPress={() => void copy()} />
        <a href={link} target="_blank" rel="noreferrer">{say`Open it`}</a>
      </p>
      <p className={isLong ? 'warning' : 'hint'} role={isLong ? 'alert' : undefined}>
        <Sentences>
          {say`${whole(link.length)} of ${whole(MOST_LINK_LETTERS)} letters.`}
          {isLong
            ? say`That is too long for a link: mail and chats would cut it. Shorten your texts, or hand the lesson out as a file.`
            : link.length > LONG_LINK_LETTERS
              ? say`Some mail programs and chats cut links of more than ${whole(LONG_LINK_LETTERS)}: try yours, or hand out the file.`
              : ''}
        </Sentences>
      </p>
      <p className="hint" role="status">
        {said}
      </p>
    </>
  );
}
