/** A letter of one's own, asked of the frozen and of the trained model. */
import { facts, say } from '../../../common.ts';
import { useHeld } from '../../parts/held.tsx';
import { DrawPad } from '../../parts/Pictures.tsx';
import { LabFigure } from '../LabFigure.tsx';
import type { FirstRun } from './runList.ts';
import type { FirstRuns } from './runs.ts';

const SHOWN = 3;
/** As the letters are. */
const SIDE = 32;

type Answer = NonNullable<Awaited<ReturnType<FirstRuns['classify']>>>;

const likeliest = (values: Float32Array): number[] =>
  [...values.keys()].sort((a, b) => values[b]! - values[a]!).slice(0, SHOWN);

export function TryIt(props: {
  readonly runs: FirstRuns;
  readonly run: FirstRun;
  /** What the run is called. */
  readonly name: string;
}) {
  const { runs, run, name } = props;
  const [answer, setAnswer] = useHeld<Answer | null>('drawn', () => null);
  const { open } = run;
  if (open === null) return null;
  const { labels, picture } = open.data;
  const text = (values: Float32Array) =>
    facts(likeliest(values).map((at) => `${labels[at] ?? ''} ${Math.round(100 * values[at]!)} %`));
  const title = say`Draw a letter`;
  return (
    <LabFigure
      id="drawn"
      title={title}
      sentence={
        answer === null
          ? say`Draw a capital letter, thick and large, then ask both.`
          : say`Untrained the model says: ${text(answer.before)}. After the run with ${name}: ${text(answer.after)}.`
      }
      how={say`How each number was got: your drawing in the tones of the letters, at their size, through the same engine; the three likeliest classes with their probabilities, which are a softmax of the scores.`}
      table={{
        head: [say`Model`, say`Its likeliest letters`],
        rows:
          answer === null
            ? []
            : [
                [say`untrained`, text(answer.before)],
                [name, text(answer.after)],
              ],
      }}
    >
      <DrawPad
        size={SIDE}
        label={say`Draw something for both models to read`}
        action={say`Ask both models`}
        keepsDrawing
        {...(picture === undefined ? {} : { tones: picture.tones })}
        onDone={(pixels) => void runs.classify(pixels).then(setAnswer)}
      />
    </LabFigure>
  );
}
