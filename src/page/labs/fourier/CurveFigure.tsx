/** What is left of the target by numbers that train: a mark for each fit, a line for the least that is possible. */
import { fixed, say } from '../../../common.ts';
import {
  FIT_STEPS,
  numbersOf,
  pieceAt,
  RANKS,
  UPDATE_PIECES,
  type UpdatePiece,
  WAYS,
  type Way,
} from '../../../labs.ts';
import { rich } from '../../parts/rich.ts';
import { Sentences } from '../../parts/Sentences.tsx';
import { deviceName } from '../deviceName.ts';
import { LabFigure } from '../LabFigure.tsx';
import { Plot, type PlotLine } from '../Plot.tsx';
import { Term } from '../textbook/Glossary.tsx';
import { useShown } from '../useLab.ts';
import { type Fits, leftBy, leftText, wayName } from './fits.ts';

type Style = Pick<PlotLine, 'color' | 'dash' | 'mark'>;

const STYLES: Readonly<Record<UpdatePiece['method'], Style>> = {
  lora: { color: '--line-1', mark: 'square' },
  drawn: { color: '--line-2', mark: 'diamond', dash: '2 4' },
  low: { color: '--line-0', mark: 'circle' },
  best: { color: '--line-3', mark: 'circle', dash: '7 4' },
};

const nameOf = (method: UpdatePiece['method']): string => (method === 'lora' ? 'LoRA' : wayName(method));

function lineOf(fits: Fits, method: UpdatePiece['method']): PlotLine {
  const along = (errors: readonly number[]) =>
    RANKS.map((rank) => [numbersOf(rank), errors[pieceAt({ method, rank })]!] as const);
  return {
    ...{ id: method, name: nameOf(method), ...STYLES[method] },
    ...{ points: along(fits.answer.best), along: along(fits.facts.floors) },
  };
}

export function CurveFigure(props: { readonly fits: Fits; readonly rank: number; readonly way: Way }) {
  const { fits, rank, way } = props;
  const { answer, facts, device } = fits;
  const title = say`What is left of the target by numbers that train`;
  const [lora, fourier] = [leftBy(fits, { method: 'lora', rank }), leftBy(fits, { method: way, rank })];
  useShown({ lora, fourier, step: answer.step });
  const isDone = answer.step >= FIT_STEPS;
  return (
    <LabFigure
      id="curve"
      title={title}
      isDone={isDone}
      sentence={
        <Sentences>
          {isDone ? say`After ${FIT_STEPS} steps.` : say`Step ${answer.step} of ${FIT_STEPS}.`}
          {say`With ${numbersOf(rank)} numbers each, LoRA of rank ${rank} leaves ${leftText(lora)} of the target; ${wayName(way)}, leaves ${leftText(fourier)}.`}
          <span className="hint">
            {say`Marks: the fits. Lines: the least that is possible. Computed by ${deviceName(device)}.`}
          </span>
        </Sentences>
      }
      how={rich`How each number was got: the ${<Term of="engine" />}’s own matrix product and sparse ${<Term of="Fourier-transform">{say`inverse Fourier transform`}</Term>} with their gradients and ${<Term of="AdamW" />}, at a rate that falls from 0.05 to 0 in a half cosine. What is left is the root of the sum of squares of the difference, over that of the target. The least that is possible is worked out in ${<Term of="float64" />}: for LoRA from the singular values beyond the rank, after Eckart and Young; for FourierFT from what the target has of the chosen cosine waves, which are orthogonal.`}
      table={{
        head: [say`Method`, say`Rank r`, say`Numbers`, say`Left by the fit`, say`Least possible`],
        rows: UPDATE_PIECES.map((piece, i) => [
          ...[nameOf(piece.method), String(piece.rank), String(numbersOf(piece.rank))],
          ...[leftText(answer.best[i]!), leftText(facts.floors[i]!)],
        ]),
      }}
    >
      <Plot
        label={title}
        x={{
          ...{ title: say`numbers that train`, isLog: true, low: numbersOf(1) * 0.9, high: numbersOf(9) },
          ...{ ticks: RANKS.map(numbersOf), format: String },
        }}
        y={{
          ...{ title: '', isLog: false, low: 0, high: 1, ticks: [0, 0.25, 0.5, 0.75, 1] },
          format: (value) => fixed(value, 2),
        }}
        lines={(['lora', ...WAYS] as const).map((method) => lineOf(fits, method))}
        picked={[numbersOf(rank), fourier]}
      />
    </LabFigure>
  );
}
