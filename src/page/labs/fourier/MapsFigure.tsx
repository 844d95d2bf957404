/** The target, what each method made of it, and what it left, as maps. */
import { greatest, say } from '../../../common.ts';
import { UPDATE_PIECES, UPDATE_SIZE } from '../../../labs.ts';
import { real } from '../../format.ts';
import { HeatMap } from '../HeatMap.tsx';
import { LabFigure } from '../LabFigure.tsx';
import { type Fits, isExact, leftText, wayName } from './fits.ts';

/** Rows of the table: entries of the first row of the matrix, which say enough. */
const TOLD = 8;

export function MapsFigure({ fits }: { readonly fits: Fits }) {
  const [lora, fourier] = fits.picked;
  const { target } = lora!;
  const full = greatest(target.map(Math.abs));
  const errors = fits.picked.map(({ part }) => fits.answer.best[part]!) as [number, number];
  const { method, rank } = UPDATE_PIECES[fourier!.part]!;
  const names = [say`LoRA of rank ${rank}`, method === 'lora' ? '' : wayName(method)] as const;
  const title = say`The change of the weight, and what came of it`;
  const rows = [lora!, fourier!].map(({ fitted }, i) => ({
    id: i,
    pictures: [
      { name: names[i]!, values: fitted },
      { name: say`what it leaves`, values: fitted.map((value, at) => target[at]! - value) },
    ],
  }));
  return (
    <LabFigure
      id="maps"
      title={title}
      sentence={sentenceOf(names, errors)}
      how={say`How each number was got: the target is computed in float64; the fits are what the engine’s ops make of their numbers, in 32 bits. All maps share one scale, that of the target.`}
      rowsInAll={target.length}
      table={{
        head: [say`Row`, say`Column`, say`target`, ...names],
        rows: Array.from({ length: TOLD }, (_, at) => [
          ...['1', String(at + 1), real(target[at]!)],
          ...[real(lora!.fitted[at]!), real(fourier!.fitted[at]!)],
        ]),
      }}
    >
      <div className="lab-pictures">
        <figure className="sym-dW">
          <HeatMap label={say`target`} size={UPDATE_SIZE} values={target} full={full} />
          <figcaption>{say`target`}</figcaption>
        </figure>
        <div className="stack">
          {rows.map(({ id, pictures }) => (
            <div key={id} className="lab-pictures">
              {pictures.map(({ name, values }) => (
                <figure key={name}>
                  <HeatMap label={name} size={UPDATE_SIZE} values={values} full={full} />
                  <figcaption>{name}</figcaption>
                </figure>
              ))}
            </div>
          ))}
        </div>
      </div>
    </LabFigure>
  );
}

function sentenceOf(names: readonly [string, string], errors: readonly [number, number]): string {
  const [lora, fourier] = errors.map(isExact);
  if (lora && fourier) return say`Both have found the target: their maps of what is left are empty.`;
  if (lora) return say`LoRA has found the target; ${names[1]}, leaves ${leftText(errors[1])} of its size.`;
  if (fourier) return say`${names[1]}, has found the target; LoRA leaves ${leftText(errors[0])} of its size.`;
  return say`Neither has found the target: LoRA leaves ${leftText(errors[0])} of its size, ${names[1]}, ${leftText(errors[1])}.`;
}
