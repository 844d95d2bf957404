/** Letters as pictures: some to learn from, and some held out with what each run says of them. */
import { say } from '../../../common.ts';
import type { DataPreview, ImageBeforeAfter } from '../../../protocol.ts';
import { whole } from '../../format.ts';
import { Icon } from '../../parts/Icon.tsx';
import { Picture } from '../../parts/Pictures.tsx';
import { rich } from '../../parts/rich.ts';
import { LabFigure } from '../LabFigure.tsx';
import { Term } from '../textbook/Glossary.tsx';
import type { Curves } from './CurveFigure.tsx';

/** Letters that are learnt from. */
export function LearntLetters({ preview: { report, examples } }: { readonly preview: DataPreview }) {
  const title = say`Letters to learn from`;
  const shown = examples.flatMap(({ picture, label = '' }) => (picture ? [{ ...picture, label }] : []));
  const [first] = shown;
  return (
    <LabFigure
      id="letters"
      title={title}
      sentence={rich`${shown.length} of the letters, from all over the set: ${shown.map(({ label }) => label).join(' ')}. There are ${whole(report.trainExamples)} to learn from and ${whole(report.heldExamples)} ${<Term of="held-out" />}, of ${report.labels.length} classes, each ${first?.width ?? 0} × ${first?.height ?? 0} grey pixels.`}
      how={say`How each number was got: the letters are drawn by a program with a seed, as the model will see them; they are counted.`}
      table={{
        head: [say`Picture`, say`Letter`],
        rows: shown.map(({ label }, i) => [String(i + 1), label]),
      }}
    >
      <ul className="first-letters">
        {shown.map(({ pixels, width, height, channels, label }, i) => (
          // biome-ignore lint/suspicious/noArrayIndexKey: the letters do not change.
          <li key={i}>
            <Picture {...{ pixels, width, height, channels }} label={say`the letter ${label}`} />
            <span>{label}</span>
          </li>
        ))}
      </ul>
    </LabFigure>
  );
}

interface Guess {
  readonly name: string;
  readonly label: string;
  readonly share: number;
  readonly isRight: boolean;
}

function guessOf(name: string, labels: readonly string[], values: Float32Array, truth: number): Guess {
  const best = values.indexOf(values.reduce((a, b) => Math.max(a, b)));
  return { name, label: labels[best] ?? '', share: values[best]!, isRight: best === truth };
}

/** What the model says of the example at `at`: with its new head untrained, and after each run. */
function guessesOf(
  answers: readonly { readonly name: string; readonly of: ImageBeforeAfter }[],
  at: number,
): Guess[] {
  const { labels, examples } = answers[0]!.of;
  const { label, before } = examples[at]!;
  return [
    guessOf(say`untrained`, labels, before, label),
    ...answers.map(({ name, of }) => guessOf(name, labels, of.examples[at]!.after, label)),
  ];
}

const shareText = (share: number): string => `${Math.round(100 * share)} %`;

/** The same held-out letters, and what is said of them before training and after each run. */
export function HeldLetters({ id, curves }: { readonly id: string; readonly curves: Curves }) {
  const answers = curves.flatMap(({ run, name }) => (run.answers ? [{ name, of: run.answers }] : []));
  const [first] = answers;
  if (first === undefined) return null;
  const { labels, examples } = first.of;
  const rows = examples.map((example, at) => ({ ...example, guesses: guessesOf(answers, at) }));
  const right = (column: number) => rows.filter(({ guesses }) => guesses[column]!.isRight).length;
  const title = say`Held-out letters, and what the model says`;
  const counts = rows[0]!.guesses.map(({ name }, column) => say`${name}: ${right(column)} right`);
  return (
    <LabFigure
      id={id}
      title={title}
      sentence={say`Of these ${whole(rows.length)} letters, which it never learnt from: ${counts.reduce((all, one) => say`${all}; ${one}`)}.`}
      how={rich`How each number was got: the likeliest class and its probability, a ${<Term of="softmax" />} of the scores that the ${<Term of="engine" />} computes. Untrained is the frozen model with a new head of random numbers.`}
      table={{
        head: [say`Letter`, ...rows[0]!.guesses.map(({ name }) => name)],
        rows: rows.map(({ label, guesses }) => [
          labels[label] ?? '',
          ...guesses.map((guess) => `${guess.label} ${shareText(guess.share)}`),
        ]),
      }}
    >
      <ul className="first-held">
        {rows.map(({ pixels, width, height, label, guesses }, i) => (
          // biome-ignore lint/suspicious/noArrayIndexKey: the asked letters are the same each time.
          <li key={i}>
            <Picture {...{ pixels, width, height }} label={say`the letter ${labels[label] ?? ''}`} />
            <ul>
              {guesses.map((guess) => (
                <li key={guess.name} className={guess.isRight ? 'is-right' : 'is-wrong'}>
                  <span className="first-name">{guess.name}</span>
                  <b>{guess.label}</b>
                  <span>{shareText(guess.share)}</span>
                  <Icon name={guess.isRight ? 'check' : 'cross'} />
                  <span className="hidden">{guess.isRight ? say`right` : say`wrong`}</span>
                </li>
              ))}
            </ul>
          </li>
        ))}
      </ul>
    </LabFigure>
  );
}
