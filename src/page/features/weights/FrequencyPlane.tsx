/**
 * The plane of a layer's frequencies, 0 in the middle: a dot for each that FourierFT has chosen, coloured by its coefficient. A click chooses
 * one; dragging it up or down moves its coefficient. The sliders below do the same for a keyboard.
 */
import { type PointerEvent, type RefObject, useEffect, useRef } from 'react';
import { say } from '../../../common.ts';
import { SaveMenu } from '../../parts/SaveMenu.tsx';
import { pngItem, tableItem } from '../../parts/saveItems.ts';
import { cssOf, diverging, type MapColors, useMapColors } from '../inspect/painters.ts';
import { centred, coefficient, nearest, type Spectrum, type SpectrumEdit } from './spectrum.ts';
import { frequencyAt, type Place } from './unlearnt.ts';

/** Pixels of the drawing along its longer side, and those of a dot. */
const SIDE = 640;
const SMALLEST = 2.5;
const LARGEST = 8;
/** How near a pointer must come to a dot, as a share of the longer side. */
const REACH = 0.03;
/** A drag over the height of the plane spans the whole range of a coefficient. */
const SPAN = 2;

interface Drawn {
  readonly spectrum: Spectrum;
  readonly edit: SpectrumEdit;
  readonly rows: number;
  readonly columns: number;
  readonly largest: number;
  readonly chosen: number;
  readonly colors: MapColors;
}

/** The axes of frequency 0, a dot for every frequency, and a ring around the chosen one. */
function draw(context: CanvasRenderingContext2D, drawn: Drawn): void {
  const { spectrum, edit, rows, columns, chosen, colors } = drawn;
  const { width, height } = context.canvas;
  const largest = Math.max(drawn.largest, 1e-12);
  context.clearRect(0, 0, width, height);
  context.strokeStyle = cssOf(colors.still);
  context.lineWidth = 2;
  context.beginPath();
  context.moveTo(width / 2, 0);
  context.lineTo(width / 2, height);
  context.moveTo(0, height / 2);
  context.lineTo(width, height / 2);
  context.stroke();
  const circle = (k: number, radius: number) => {
    const x = ((centred(spectrum.columns[k]!, columns) + 0.5) / columns) * width;
    const y = ((centred(spectrum.rows[k]!, rows) + 0.5) / rows) * height;
    context.beginPath();
    context.arc(x, y, radius, 0, 2 * Math.PI);
  };
  for (let k = 0; k < spectrum.values.length; k++) {
    const value = coefficient(spectrum, edit, k);
    const isTouched = edit.off.has(k) || edit.moved.has(k);
    circle(k, SMALLEST + (LARGEST - SMALLEST) * Math.sqrt(Math.min(1, Math.abs(value) / largest)));
    context.fillStyle = cssOf(diverging(value, largest, colors));
    context.fill();
    context.strokeStyle = cssOf(colors.tones[isTouched ? 0 : 1]);
    context.lineWidth = isTouched ? 2 : 0.75;
    context.stroke();
  }
  circle(chosen, LARGEST + 5);
  context.strokeStyle = getComputedStyle(context.canvas).color;
  context.lineWidth = 3;
  context.stroke();
}

export function FrequencyPlane(props: {
  readonly spectrum: Spectrum;
  readonly edit: SpectrumEdit;
  readonly size: { readonly rows: number; readonly columns: number };
  /** The coefficient with the full colour. */
  readonly largest: number;
  readonly limit: number;
  readonly chosen: number;
  readonly onChoose: (k: number) => void;
  /** Told the frequency that was pressed where none is learnt nearby. */
  readonly onMiss: (place: Place) => void;
  readonly onMove: (k: number, value: number) => void;
}) {
  const { spectrum, edit, size, largest, limit, chosen, onChoose, onMiss, onMove } = props;
  const canvas = useRef<HTMLCanvasElement>(null);
  const drag = useRef<{ readonly k: number; readonly y: number; readonly from: number } | null>(null);
  const colors = useMapColors();
  const { rows, columns } = size;
  const scale = SIDE / Math.max(rows, columns);
  const [width, height] = [Math.max(64, Math.round(columns * scale)), Math.max(64, Math.round(rows * scale))];

  useEffect(() => {
    const context = canvas.current?.getContext('2d');
    if (context) draw(context, { spectrum, edit, rows, columns, largest, chosen, colors });
  }, [spectrum, edit, rows, columns, largest, chosen, colors]);

  const under = (event: PointerEvent<HTMLCanvasElement>) => {
    const box = event.currentTarget.getBoundingClientRect();
    return {
      row: ((event.clientY - box.top) / box.height) * rows,
      column: ((event.clientX - box.left) / box.width) * columns,
    };
  };
  return (
    <div className="chart-frame">
      <canvas
        ref={canvas}
        className="plane"
        data-testid="plane"
        width={width}
        height={height}
        role="img"
        aria-label={say`${spectrum.values.length} frequencies of a plane of ${rows} by ${columns}, 0 in the middle`}
        onPointerDown={(event) => {
          const at = under(event);
          const k = nearest(spectrum, size, at, REACH * Math.max(rows, columns));
          if (k === null)
            return onMiss({ row: frequencyAt(at.row, rows), column: frequencyAt(at.column, columns) });
          event.currentTarget.setPointerCapture(event.pointerId);
          drag.current = { k, y: event.clientY, from: coefficient(spectrum, edit, k) };
          onChoose(k);
        }}
        onPointerMove={(event) => {
          const { current } = drag;
          if (current === null || event.buttons === 0 || Math.abs(event.clientY - current.y) < 2) return;
          const share = (current.y - event.clientY) / event.currentTarget.getBoundingClientRect().height;
          const value = current.from + SPAN * limit * share;
          onMove(current.k, Math.min(limit, Math.max(-limit, value)));
        }}
        onPointerUp={() => {
          drag.current = null;
        }}
        onPointerCancel={() => {
          drag.current = null;
        }}
      />
      <SpectrumMenu spectrum={spectrum} edit={edit} canvas={canvas} />
    </div>
  );
}

const NAME = () => say`Coefficients in the plane of frequencies`;

function SpectrumMenu(props: {
  readonly spectrum: Spectrum;
  readonly edit: SpectrumEdit;
  readonly canvas: RefObject<HTMLCanvasElement | null>;
}) {
  const { spectrum, edit, canvas } = props;
  return (
    <SaveMenu
      of={NAME()}
      items={[
        pngItem(NAME(), () => [canvas.current!]),
        tableItem(NAME(), () => ({
          head: ['row', 'column', 'coefficient'],
          rows: Array.from(spectrum.values, (_, k) => [
            spectrum.rows[k]!,
            spectrum.columns[k]!,
            coefficient(spectrum, edit, k),
          ]),
        })),
      ]}
    />
  );
}
