/** A question that the picture answers: a number or a choice, checked at once, with what is right or wrong about it. */
import { type FormEvent, type ReactNode, useId, useMemo } from 'react';
import { language, local, say } from '../../common.ts';
import { Action } from '../parts/Action.tsx';
import { useHeld } from '../parts/held.tsx';
import { Icon, type IconName } from '../parts/Icon.tsx';
import '../lessons/lessons.css';

export interface Reply {
  /** Null where the page has not shown yet what the answer is held against. */
  readonly isRight: boolean | null;
  readonly say: ReactNode;
}

interface QuestionProps {
  readonly id: string;
  readonly ask: ReactNode;
  /** The figures of the page that `ask` names: a reply that was given to others is put away. */
  readonly about?: string;
  /** The answers to choose from, by an id each; without them a number is asked for. */
  readonly options?: readonly { readonly id: string; readonly title: string }[];
  /** What the answer is held against. */
  readonly hint?: ReactNode;
  /** What is said to an answer: the id of an option, or the number. */
  readonly check: (answer: string) => Reply;
}

const VERDICTS: Readonly<
  Record<string, { readonly look: string; readonly icon: IconName; readonly word: () => string }>
> = {
  true: { look: 'is-right', icon: 'check', word: () => say`Right.` },
  false: { look: 'is-wrong', icon: 'cross', word: () => say`Not yet.` },
  null: { look: '', icon: 'info', word: () => say`The page cannot tell yet.` },
};

export function Question({ id, ask, about = '', options, hint, check }: QuestionProps) {
  const [answer, setAnswer] = useHeld(`answer ${id}`, () => '');
  // What was on screen when the answer was given goes with its check, so that it can be said again.
  const [asked, setAsked] = useHeld<{ readonly reply: () => Reply; readonly about: string } | null>(
    `asked ${id}`,
    () => null,
  );
  const { locale } = language();
  // biome-ignore lint/correctness/useExhaustiveDependencies: the reply is in the language that is spoken.
  const reply = useMemo(() => (asked?.about === about ? asked.reply() : null), [asked, about, locale]);
  const name = useId();
  const submit = (event: FormEvent) => {
    event.preventDefault();
    if (answer.trim() !== '') setAsked({ reply: () => check(answer.trim()), about });
  };
  const change = (next: string) => {
    setAnswer(next);
    setAsked(null);
  };
  return (
    <form className="lab-question" data-testid={id} onSubmit={submit}>
      <fieldset>
        <legend>{ask}</legend>
        {options === undefined ? (
          <input
            className="box box-number"
            inputMode="decimal"
            aria-label={say`Your answer, a number`}
            value={answer}
            onChange={(event) => change(event.target.value)}
          />
        ) : (
          options.map((option) => (
            <label key={option.id} className="lab-option">
              <input
                type="radio"
                name={name}
                value={option.id}
                checked={answer === option.id}
                onChange={() => change(option.id)}
              />
              {option.title}
            </label>
          ))
        )}
        {hint === undefined ? null : <p className="hint">{hint}</p>}
        <Action type="submit" text={say`Check`} isDisabled={answer.trim() === ''} />
      </fieldset>
      <p
        role="status"
        className={reply === null ? 'hidden' : `verdict ${VERDICTS[String(reply.isRight)]!.look}`}
      >
        {reply === null ? null : (
          <>
            <Icon name={VERDICTS[String(reply.isRight)]!.icon} />
            <span>
              <b>{VERDICTS[String(reply.isRight)]!.word()}</b> {reply.say}
            </span>
          </>
        )}
      </p>
    </form>
  );
}

/** Thousands, as the page writes them. */
const GROUPED = /^-?[1-9]\d{0,2}(,\d{3})+(\.\d+)?$/;

/** A number as people write it, or as the page does: with a point or a comma, "1,234" (1.234 in a language that writes 0,5), "3.4 e−8", "87.3 %", "45°"; NaN for what is none. */
export function numberIn(answer: string): number {
  const bare = answer.replaceAll(/\s+/g, '').replaceAll('−', '-').replace(/[%°]$/, '');
  if (bare === '') return Number.NaN;
  // Where the language has a comma before the parts, thousands have the point.
  const own = local('.') === ',' ? bare.replaceAll(/[,.]/g, (sign) => (sign === ',' ? '.' : ',')) : bare;
  return Number(GROUPED.test(own) ? own.replaceAll(',', '') : own.replace(',', '.'));
}
