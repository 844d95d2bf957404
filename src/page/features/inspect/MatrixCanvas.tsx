/**
 * A matrix as a picture, a pixel an entry, drawn by a function of (row, column) → colour. Large ones are reduced: a pixel then shows the
 * entry of the largest weight among those it stands for. Pointing at it says what is there.
 */
import { type PointerEvent, useEffect, useRef, useState } from 'react';

export interface Painter {
  readonly rows: number;
  readonly columns: number;
  color(row: number, column: number): readonly [number, number, number];
  /** Which of several entries under one pixel is shown: the one of the largest weight. */
  weight(row: number, column: number): number;
  describe(row: number, column: number): string;
  /** Entries that are shown however many share a pixel. */
  readonly points?: { readonly row: Uint32Array; readonly column: Uint32Array };
}

const LIMIT = 256;

/** Entries of a pixel that are looked at, along each side. */
const LOOKS = 8;

/** The entry that a pixel shows: the one of the largest weight among those looked at. */
function shownEntry(painter: Painter, scale: number, x: number, y: number): readonly [number, number] {
  const step = Math.max(1, Math.floor(scale / LOOKS));
  let [row, column] = [y * scale, x * scale];
  let best = painter.weight(row, column);
  for (let r = y * scale; r < Math.min(painter.rows, (y + 1) * scale); r += step) {
    for (let c = x * scale; c < Math.min(painter.columns, (x + 1) * scale); c += step) {
      const weight = painter.weight(r, c);
      if (weight > best) [best, row, column] = [weight, r, c];
    }
  }
  return [row, column];
}

export function MatrixCanvas(props: {
  readonly painter: Painter;
  readonly label: string;
  readonly caption?: string;
}) {
  const { painter, label, caption } = props;
  const canvas = useRef<HTMLCanvasElement>(null);
  const [hover, setHover] = useState<string | null>(null);
  const { rows, columns } = painter;
  const scale = Math.ceil(Math.max(rows, columns) / LIMIT);
  const width = Math.ceil(columns / scale);
  const height = Math.ceil(rows / scale);
  useEffect(() => {
    const context = canvas.current?.getContext('2d');
    if (!context) return;
    const image = context.createImageData(width, height);
    const paint = (x: number, y: number, row: number, column: number) =>
      image.data.set([...painter.color(row, column), 255], 4 * (y * width + x));
    for (let y = 0; y < height; y++)
      for (let x = 0; x < width; x++) paint(x, y, ...shownEntry(painter, scale, x, y));
    painter.points?.row.forEach((row, k) => {
      const column = painter.points!.column[k]!;
      paint(Math.floor(column / scale), Math.floor(row / scale), row, column);
    });
    context.putImageData(image, 0, 0);
  }, [painter, width, height, scale]);
  const point = (event: PointerEvent<HTMLCanvasElement>) => {
    const box = event.currentTarget.getBoundingClientRect();
    const row = Math.min(rows - 1, Math.max(0, Math.floor(((event.clientY - box.top) / box.height) * rows)));
    const column = Math.min(
      columns - 1,
      Math.max(0, Math.floor(((event.clientX - box.left) / box.width) * columns)),
    );
    setHover(painter.describe(row, column));
  };
  return (
    <figure className="matrix">
      <canvas
        ref={canvas}
        width={width}
        height={height}
        role="img"
        aria-label={label}
        onPointerMove={point}
        onPointerLeave={() => setHover(null)}
      />
      <figcaption>{hover ?? caption ?? label}</figcaption>
    </figure>
  );
}

/** The key to a diverging colour scale. */
export function Scale({ limit }: { readonly limit: number }) {
  return (
    <span className="scale fine tabular">
      −{figure(limit)}
      <i className="scale-bar" />
      {figure(limit)}
    </span>
  );
}

const figure = (value: number): string =>
  value >= 0.01 ? String(Number(value.toPrecision(2))) : value.toExponential(0);
