/** The rotation as it was at one step: R − I on a scale that never changes, how far it is from orthogonal, and the angle of every block. */
import { useEffect, useMemo, useRef } from 'react';
import { degreesOf, say } from '../../../common.ts';
import type { Inspection } from '../../../protocol.ts';
import { degrees, pretty, real } from '../../format.ts';
import { cssColor } from '../../parts/Chart.tsx';
import { Block, Figure } from '../../parts/Facts.tsx';
import { SaveMenu } from '../../parts/SaveMenu.tsx';
import { pngItem, tableItem } from '../../parts/saveItems.ts';
import { useUi } from '../../usePage.ts';
import { drawSoon } from '../inspect/frames.ts';
import { ROTATION_LIMIT } from '../inspect/Learnt.tsx';
import { MatrixCanvas, Scale } from '../inspect/MatrixCanvas.tsx';
import { useMapColors, valuePainter } from '../inspect/painters.ts';
import { focusOnEntry, node } from './focus.ts';
import { Overlay } from './Overlay.tsx';
import type { View } from './view.ts';
import { filledIn, forFilled } from './wiring.ts';

export function Rotation(props: {
  readonly view: View;
  readonly rotation: NonNullable<Inspection['rotation']>;
  readonly factors: NonNullable<Inspection['factors']>;
}) {
  const { view, rotation, factors } = props;
  const { wiring } = view;
  const { data, size } = rotation;
  const colors = useMapColors();
  const m = wiring.stages.length;
  const painter = useMemo(
    () => valuePainter(data, size, size, ROTATION_LIMIT, colors, true),
    [data, size, colors],
  );
  const isFilled = useMemo(() => filledIn(wiring, m), [wiring, m]);
  const entries = useMemo(
    () => (lit: readonly Uint8Array[], _: unknown, see: (row: number, column: number) => void) =>
      forFilled(wiring, m, lit[0]!, lit[m]!, see),
    [wiring, m],
  );
  return (
    <Block title={say`The rotation now`} label={say`Rotation`} beside={<Scale limit={ROTATION_LIMIT} />}>
      <dl className="figures figures-small" data-testid="rotation">
        <Figure name="‖RᵀR − I‖" how="orthogonality" value={real(rotation.orthogonality)} />
        <Figure name={say`Largest angle`} how="angle" value={degrees(rotation.maxAngle, 2)} />
      </dl>
      <div className="composed rotation">
        <MatrixCanvas
          painter={painter}
          label={say`R minus identity, ${size} by ${size}`}
          caption="R − I"
          onPoint={(entry) =>
            view.point(
              entry !== null && isFilled(entry.row, entry.column)
                ? { from: node(0, entry.column), to: node(m, entry.row) }
                : null,
            )
          }
        >
          <Overlay view={view} name="rotation-lit" hasValues entries={entries} />
        </MatrixCanvas>
        <div className="angles">
          <h4>{say`Angles of the blocks`}</h4>
          {factors.map(({ angles }, i) => (
            <Angles
              // biome-ignore lint/suspicious/noArrayIndexKey: a factor is its index.
              key={i}
              label={pretty(wiring.stages[i]!.label)}
              angles={angles}
              onPoint={(block) => {
                const first = wiring.stages[i]!.members[block * wiring.block]!;
                view.point(focusOnEntry(i, first, first));
              }}
              onLeave={() => view.point(null)}
            />
          ))}
          <p className="hint">{say`The largest angle by which a block turns anything, on a root scale up to 180°.`}</p>
        </div>
      </div>
    </Block>
  );
}

const HEIGHT = 40;

/** A bar for every block of a factor; as wide as there is room. */
function Angles(props: {
  readonly label: string;
  readonly angles: Float32Array;
  readonly onPoint: (block: number) => void;
  readonly onLeave: () => void;
}) {
  const { label, angles, onPoint, onLeave } = props;
  const scheme = useUi((s) => s.scheme);
  const canvas = useRef<HTMLCanvasElement>(null);
  const width = Math.min(256, angles.length);
  // biome-ignore lint/correctness/useExhaustiveDependencies: a new scheme changes the colour that drawing reads.
  useEffect(() => {
    const element = canvas.current!;
    return drawSoon(element, () => {
      const context = element.getContext('2d');
      if (!context) return;
      context.clearRect(0, 0, width, HEIGHT);
      context.fillStyle = cssColor('--map-tone-a');
      angles.forEach((angle, block) => {
        const tall = HEIGHT * Math.sqrt(angle / Math.PI);
        context.fillRect(Math.floor((block * width) / angles.length), HEIGHT - tall, 1, tall);
      });
    });
  }, [angles, width, scheme]);
  const sum = angles.reduce((total, angle) => total + angle, 0);
  const largest = angles.reduce((most, angle) => Math.max(most, angle), 0);
  const name = say`Angles of the blocks of ${label}`;
  const figures = [degrees(largest, 2), degrees(sum / angles.length, 2)] as const;
  const said =
    angles.length === 1
      ? say`${label} · 1 block, largest ${figures[0]}, mean ${figures[1]}`
      : say`${label} · ${angles.length} blocks, largest ${figures[0]}, mean ${figures[1]}`;
  return (
    <figure className="matrix angles-of">
      <canvas
        ref={canvas}
        width={width}
        height={HEIGHT}
        role="img"
        aria-label={say`Angles of the blocks of ${said}`}
        onPointerMove={(event) => {
          const box = event.currentTarget.getBoundingClientRect();
          const share = (event.clientX - box.left) / box.width;
          onPoint(Math.min(angles.length - 1, Math.max(0, Math.floor(share * angles.length))));
        }}
        onPointerLeave={onLeave}
      />
      <figcaption>
        <SaveMenu
          of={name}
          items={[
            pngItem(name, () => [canvas.current!]),
            tableItem(name, () => ({
              head: ['block', say`largest angle, degrees`],
              rows: Array.from(angles, (angle, block) => [block, degreesOf(angle)]),
            })),
          ]}
        />
        {said}
      </figcaption>
    </figure>
  );
}
