/** What a module has learnt, in values from the device: frequencies, ΔW, and the adapter's own numbers. */
import { useMemo } from 'react';
import { greatest, least, say } from '../../../common.ts';
import type { Inspection } from '../../../protocol.ts';
import { saveFile } from '../../exports.ts';
import { percent, real } from '../../format.ts';
import { cssColor } from '../../parts/Chart.tsx';
import { Block, Figure } from '../../parts/Facts.tsx';
import { fileStem } from '../../parts/numberFiles.ts';
import { SaveMenu } from '../../parts/SaveMenu.tsx';
import { matrixItems } from '../../parts/saveItems.ts';
import { MatrixCanvas, type Painter, Scale } from './MatrixCanvas.tsx';
import { pointsPainter, turnedPainter, useMapColors, valuePainter } from './painters.ts';

export const ROTATION_LIMIT = 0.2;
const DELTA_LIMIT = 0.1;

export function Learnt({ inspection }: { readonly inspection: Inspection }) {
  const { rotation, delta, spectrum, tensors } = inspection;
  return (
    <Block title={say`What it has learnt`} label={say`What was learnt`}>
      <dl className="figures figures-small">
        <Figure name="‖ΔW‖ / ‖W‖" how="change" value={percent(delta.relative)} />
        {spectrum ? (
          <Figure name={say`Frequencies`} how="frequencies" value={spectrum.values.length} />
        ) : null}
      </dl>
      <div className="strip strip-2">
        {spectrum ? <SpectrumMap spectrum={spectrum} rows={delta.rows} columns={delta.columns} /> : null}
        <DeltaMap delta={delta} />
      </div>
      {tensors === undefined || rotation || spectrum ? null : <Tensors tensors={tensors} />}
    </Block>
  );
}

/** A matrix with the key to its colours. */
function ValueMap(props: {
  readonly painter: Painter;
  readonly label: string;
  readonly caption: string;
  readonly limit: number;
  readonly className?: string;
}) {
  const { painter, label, caption, limit, className } = props;
  return (
    <div className={className}>
      <MatrixCanvas painter={painter} label={label} caption={caption} />
      <Scale limit={limit} />
    </div>
  );
}

export function RotationMap({ rotation }: { readonly rotation: NonNullable<Inspection['rotation']> }) {
  const colors = useMapColors();
  const { data, size } = rotation;
  const painter = useMemo(
    () => valuePainter(data, size, size, ROTATION_LIMIT, colors, true),
    [data, size, colors],
  );
  return (
    <ValueMap
      painter={painter}
      label={say`R minus identity, ${size} by ${size}`}
      caption="R − I"
      limit={ROTATION_LIMIT}
    />
  );
}

export function DeltaMap({ delta }: { readonly delta: Inspection['delta'] }) {
  const colors = useMapColors();
  const { data, rows, columns } = delta;
  const painter = useMemo(
    () => valuePainter(data, rows, columns, DELTA_LIMIT, colors),
    [data, rows, columns, colors],
  );
  return (
    <ValueMap
      painter={painter}
      label={say`Change of the weight, ${rows} by ${columns}`}
      caption="ΔW = W′ − W"
      limit={DELTA_LIMIT}
    />
  );
}

type Spectrum = NonNullable<Inspection['spectrum']>;

function SpectrumMap(props: {
  readonly spectrum: Spectrum;
  readonly rows: number;
  readonly columns: number;
}) {
  const { spectrum, rows, columns } = props;
  const colors = useMapColors();
  const limit = Math.max(1, largest(spectrum.values));
  const painter = useMemo(
    () => pointsPainter(spectrum, [rows, columns], limit, colors),
    [spectrum, rows, columns, limit, colors],
  );
  return (
    <ValueMap
      painter={painter}
      label={say`Coefficients at their frequencies`}
      caption={say`Coefficients`}
      limit={limit}
    />
  );
}

type Tensor = NonNullable<Inspection['tensors']>[number];

const largest = (data: Float32Array): number =>
  data.reduce((most, value) => Math.max(most, Math.abs(value)), 0);

/** The numbers that a module's adapter holds, as they are: matrices on a diverging scale, vectors as bars. */
function Tensors({ tensors }: { readonly tensors: readonly Tensor[] }) {
  return (
    <div className="stack tensors">
      {tensors.map((tensor) =>
        tensor.rows === 1 || tensor.columns === 1 ? (
          <Vector key={tensor.name} tensor={tensor} />
        ) : (
          <Matrix key={tensor.name} tensor={tensor} />
        ),
      )}
    </div>
  );
}

/** A wide picture of it: a tall matrix lies on its side, and says so. */
function Matrix({ tensor }: { readonly tensor: Tensor }) {
  const colors = useMapColors();
  const { name, rows, columns, data } = tensor;
  const isTurned = rows > columns;
  const limit = largest(data) || 1;
  const painter = useMemo(
    () => (isTurned ? turnedPainter : valuePainter)(data, rows, columns, limit, colors),
    [data, rows, columns, limit, colors, isTurned],
  );
  const caption = isTurned
    ? say`${name} · ${rows} × ${columns}, on its side`
    : `${name} · ${rows} × ${columns}`;
  return <ValueMap className="tensor" painter={painter} label={caption} caption={caption} limit={limit} />;
}

const HEIGHT = 44;

const barsSvg = (path: string, count: number): string =>
  `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${count} ${HEIGHT}" preserveAspectRatio="none" width="1000" height="300"><path d="${path}" stroke="${cssColor('--map-tone-a')}" stroke-width="0.8"/></svg>`;

/** A bar from zero for every number. */
function Vector({ tensor }: { readonly tensor: Tensor }) {
  const { name, data } = tensor;
  const low = Math.min(0, least(data));
  const high = Math.max(0, greatest(data));
  const span = high - low || 1;
  const zero = (high / span) * HEIGHT;
  const path = Array.from(data, (value, i) => {
    const y = ((high - value) / span) * HEIGHT;
    return `M${i + 0.5} ${zero.toFixed(2)}V${y.toFixed(2)}`;
  }).join('');
  const caption = say`${name} · ${data.length} numbers, ${real(least(data))} to ${real(greatest(data))}`;
  return (
    <figure className="tensor matrix">
      <svg
        viewBox={`0 0 ${data.length} ${HEIGHT}`}
        preserveAspectRatio="none"
        role="img"
        aria-label={caption}
      >
        <path d={path} />
      </svg>
      <figcaption>
        <SaveMenu
          of={name}
          items={[
            {
              title: say`Save picture (SVG)`,
              run: () => saveFile(`${fileStem(name)}.svg`, barsSvg(path, data.length), 'image/svg+xml'),
            },
            ...matrixItems(name, () => tensor),
          ]}
        />
        {caption}
      </figcaption>
    </figure>
  );
}
