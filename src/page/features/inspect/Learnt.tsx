/** What a module has learnt, in values from the device: R − I with its orthogonality, frequencies, and ΔW. */
import { useMemo } from 'react';
import { percent, real } from '../../../app/format.ts';
import type { Inspection } from '../../../training/protocol.ts';
import { MatrixCanvas, type Painter } from './MatrixCanvas.tsx';
import { valuePainter } from './painters.ts';
import { Scale } from './Scale.tsx';
import { Tensors } from './Tensors.tsx';
import { diverging, type MapColors, useMapColors } from './useMapColors.ts';

/** Steps after which an unchanged weight is worth a word. */
const STILL_AFTER = 20;
const ROTATION_LIMIT = 0.2;
const DELTA_LIMIT = 0.1;

export function Learnt({ inspection, step }: { readonly inspection: Inspection; readonly step: number }) {
  const colors = useMapColors();
  const { rotation, delta, spectrum, tensors } = inspection;
  const rotationPainter = useMemo(
    () =>
      rotation
        ? valuePainter(rotation.data, rotation.size, rotation.size, ROTATION_LIMIT, colors, true)
        : null,
    [rotation, colors],
  );
  const deltaPainter = useMemo(
    () => valuePainter(delta.data, delta.rows, delta.columns, DELTA_LIMIT, colors),
    [delta, colors],
  );
  const spectrumView = useMemo(
    () => (spectrum ? spectrumPainter(spectrum, delta.rows, delta.columns, colors) : null),
    [spectrum, delta, colors],
  );
  return (
    <section className="block" aria-label="What was learnt">
      <h3>What it has learnt</h3>
      <dl className="figures figures-small">
        <div className="figure">
          <dt>‖ΔW‖ / ‖W‖</dt>
          <dd>{percent(delta.relative)}</dd>
        </div>
        {rotation ? (
          <>
            <div className="figure">
              <dt>‖RᵀR − I‖</dt>
              <dd>{real(rotation.orthogonality)}</dd>
            </div>
            <div className="figure">
              <dt>Largest angle</dt>
              <dd>{((rotation.maxAngle * 180) / Math.PI).toFixed(2)}°</dd>
            </div>
          </>
        ) : null}
        {spectrum ? (
          <div className="figure">
            <dt>Frequencies</dt>
            <dd>{spectrum.values.length}</dd>
          </div>
        ) : null}
      </dl>
      <div className="strip strip-2">
        {rotationPainter === null ? null : (
          <div>
            <MatrixCanvas
              painter={rotationPainter}
              label={`R minus identity, ${rotation!.size} by ${rotation!.size}`}
              caption="R − I"
            />
            <Scale limit={ROTATION_LIMIT} />
          </div>
        )}
        {spectrumView === null ? null : (
          <div>
            <MatrixCanvas
              painter={spectrumView.painter}
              label="Coefficients at their frequencies"
              caption="Coefficients"
            />
            <Scale limit={spectrumView.limit} />
          </div>
        )}
        <div>
          <MatrixCanvas
            painter={deltaPainter}
            label={`Change of the weight, ${delta.rows} by ${delta.columns}`}
            caption="ΔW = W′ − W"
          />
          <Scale limit={DELTA_LIMIT} />
        </div>
      </div>
      {tensors === undefined || rotation || spectrum ? null : <Tensors tensors={tensors} />}
      {delta.relative === 0 && step >= STILL_AFTER ? (
        <p className="warning">
          After {step} steps the weight has not changed at all: the learning rate is 0, or no gradient reaches
          this module.
        </p>
      ) : null}
    </section>
  );
}

function spectrumPainter(
  spectrum: NonNullable<Inspection['spectrum']>,
  rows: number,
  columns: number,
  colors: MapColors,
): { readonly painter: Painter; readonly limit: number } {
  const values = new Map<number, number>();
  let limit = 1;
  spectrum.values.forEach((value, k) => {
    values.set(spectrum.rows[k]! * columns + spectrum.columns[k]!, value);
    limit = Math.max(limit, Math.abs(value));
  });
  const at = (r: number, c: number) => values.get(r * columns + c);
  return {
    limit,
    painter: {
      rows,
      columns,
      color: (r, c) => diverging(at(r, c) ?? 0, limit, colors),
      weight: (r, c) => (values.has(r * columns + c) ? 1 + Math.abs(at(r, c)!) : 0),
      describe: (r, c) => `frequency ${r}, ${c}: ${at(r, c) === undefined ? 'not learned' : real(at(r, c)!)}`,
    },
  };
}
