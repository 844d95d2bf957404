/** The kernels of this device: whether the fastest are looked for before a run, and which were found for the open one. */
import { say } from '../../../common.ts';
import type { TuningReport } from '../../../protocol.ts';
import { brief, percent } from '../../format.ts';
import { Fold, Toggle } from '../../parts/Controls.tsx';
import { Lines } from '../../parts/Facts.tsx';
import { Measured } from '../../parts/Measured.tsx';
import { Sentences } from '../../parts/Sentences.tsx';
import { useHeard } from '../../parts/useHeard.ts';
import { useChoice, usePage, useRun, useUi } from '../../usePage.ts';
import { engineOf } from '../setup/choice.ts';
import { chooseTuning } from './tuningChoice.ts';

export function Tuning() {
  const page = usePage();
  const isOnGpu = useChoice((s) => engineOf(s).engine === 'webgpu');
  const isHardware = useUi((s) => s.gpu?.state === 'ready' && !s.gpu.isSoftware);
  const tune = useChoice((s) => s.tune);
  const report = useRun((s) => s.open?.tuning ?? null);
  if (!isOnGpu && report === null) return null;
  return (
    <Fold summary={say`Kernels on this device`}>
      <section className="stack forecast" aria-label={say`Kernels on this device`}>
        <Toggle
          isOn={tune ?? isHardware}
          onChange={(isOn) => chooseTuning(page, isOn)}
        >{say`Find the fastest before a run`}</Toggle>
        <p className="hint">
          <Sentences>
            {say`Half a second of measuring, beside compiling what is measured; what is found is kept for the next runs. No number of a run changes.`}
            {tune === null
              ? say`The switch counts from the next run that is opened; unless it is set, it is on for a GPU alone.`
              : say`The switch counts from the next run that is opened.`}
          </Sentences>
        </p>
        {report === null ? null : <Found report={report} />}
      </section>
    </Fold>
  );
}

type Row = TuningReport['rows'][number];

const HOW = () => ({ timestamps: say`timestamps`, lengths: say`rows of two lengths` }) as const;

const howText = ({ how, isKept }: Row): string =>
  how === null ? say`not measured` : isKept ? say`${HOW()[how]}, in an earlier run` : HOW()[how];

function Found({ report: { rows, milliseconds } }: { readonly report: TuningReport }) {
  const now = useHeard();
  const notes = rows.flatMap(({ product, notes: own }) => own.map((note) => `${product}: ${now(note)}`));
  return (
    <>
      <div className="table-scroll">
        <Lines
          label={say`Fastest kernels`}
          head={[say`products`, say`of the work`, say`cut as`, say`faster than usual`, say`measured by`]}
          rows={rows.map((row) => [
            row.product,
            percent(row.share),
            row.chosen === row.usual ? say`${row.chosen}, as usual` : say`${row.chosen}, not ${row.usual}`,
            row.chosen === row.usual ? '–' : percent(row.faster - 1),
            howText(row),
          ])}
        />
      </div>
      <p className="hint">
        <Sentences>
          {say`Classes of matrix products of m × n numbers, each a sum of k; T marks an operand that is stored transposed. It took ${brief(milliseconds / 1000)}.`}
          {rows.some(({ how }) => how === null)
            ? say`What was not measured runs as usual; the next run goes on with it.`
            : null}
        </Sentences>
        <Measured of="tuning" about={say`fastest kernels`} />
      </p>
      {notes.map((note) => (
        <p key={note} className="hint">
          {note}
        </p>
      ))}
    </>
  );
}
