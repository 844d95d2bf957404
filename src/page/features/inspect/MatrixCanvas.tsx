/**
 * A matrix as a picture, a pixel an entry, drawn by its painter. Large ones are reduced: a pixel then stands for a square of entries.
 * Pointing at it says what is there; where pointing means something elsewhere, arrow keys point too. It can be taken away as it is drawn, and as
 * the numbers behind it, not reduced.
 */
import {
  type KeyboardEvent,
  memo,
  type PointerEvent,
  type ReactNode,
  type RefObject,
  useEffect,
  useRef,
  useState,
} from 'react';
import { local, say } from '../../../common.ts';
import { tenTo } from '../../format.ts';
import type { Numbers } from '../../parts/numberFiles.ts';
import { SaveMenu } from '../../parts/SaveMenu.tsx';
import { matrixItems, pngItem } from '../../parts/saveItems.ts';
import { drawSoon } from './frames.ts';
import { pixelContext } from './pixels.ts';

/** What a painter fills, every pixel of it, from one picture to the next: pixels as a canvas keeps them, each standing for scale × scale entries. */
export interface Picture {
  readonly pixels: Uint32Array;
  readonly width: number;
  readonly height: number;
  readonly scale: number;
}

export interface Painter {
  readonly rows: number;
  readonly columns: number;
  paint(picture: Picture): void;
  describe(row: number, column: number): string;
  /** What is drawn, entry by entry: a value, or 1 where it can differ from zero. */
  numbers(): Numbers;
}

/** Pixels along the longer side, at most. */
const LIMIT = 256;

/** Entries along each side of a pixel. */
export const scaleOf = (rows: number, columns: number): number => Math.ceil(Math.max(rows, columns) / LIMIT);

const ARROWS: Readonly<Record<string, readonly [rows: number, columns: number]>> = {
  ArrowUp: [-1, 0],
  ArrowDown: [1, 0],
  ArrowLeft: [0, -1],
  ArrowRight: [0, 1],
};

/** Rows and columns that an arrow key moves by, ten of them with Shift; null for other keys. */
export function moved(event: KeyboardEvent): readonly [rows: number, columns: number] | null {
  const by = ARROWS[event.key];
  if (by === undefined || event.ctrlKey || event.metaKey || event.altKey) return null;
  const far = event.shiftKey ? 10 : 1;
  return [far * by[0], far * by[1]];
}

/** Draws the picture in its turn, and again when another painter has it. */
function useDrawn(
  canvas: RefObject<HTMLCanvasElement | null>,
  painter: Painter,
  { width, height, scale }: Omit<Picture, 'pixels'>,
): void {
  const drawn = useRef<ImageData | null>(null);
  useEffect(() => {
    const element = canvas.current;
    if (element === null) return;
    return drawSoon(element, () => {
      const context = pixelContext(element);
      if (!context) return;
      if (drawn.current?.width !== width || drawn.current.height !== height)
        drawn.current = context.createImageData(width, height);
      painter.paint({ pixels: new Uint32Array(drawn.current.data.buffer), width, height, scale });
      context.putImageData(drawn.current, 0, 0);
    });
  }, [canvas, painter, width, height, scale]);
}

export function MatrixCanvas(props: {
  readonly painter: Painter;
  readonly label: string;
  /** What its menu is called, where the label changes with what is shown; the label unless said. */
  readonly name?: string;
  readonly caption?: ReactNode;
  /** Laid over the picture. */
  readonly children?: ReactNode;
  /** Told which entry is pointed at, and how many entries a pixel of the screen stands for; null where there is none any more. */
  readonly onPoint?: (
    entry: { readonly row: number; readonly column: number; readonly near: number } | null,
  ) => void;
}) {
  const { painter, label, name = label, caption, children, onPoint } = props;
  const now = useRef<Now>({ label, painter });
  now.current = { label, painter };
  const canvas = useRef<HTMLCanvasElement>(null);
  const at = useRef<readonly [number, number]>([0, 0]);
  const [hover, setHover] = useState<string | null>(null);
  const { rows, columns } = painter;
  const scale = scaleOf(rows, columns);
  const width = Math.ceil(columns / scale);
  const height = Math.ceil(rows / scale);
  useDrawn(canvas, painter, { width, height, scale });

  const tell = (row: number, column: number, near: number) => {
    at.current = [row, column];
    setHover(painter.describe(row, column));
    onPoint?.({ row, column, near });
  };
  const point = (event: PointerEvent<HTMLCanvasElement>) => {
    const box = event.currentTarget.getBoundingClientRect();
    const place = (share: number, count: number) =>
      Math.min(count - 1, Math.max(0, Math.floor(share * count)));
    tell(
      place((event.clientY - box.top) / box.height, rows),
      place((event.clientX - box.left) / box.width, columns),
      columns / box.width,
    );
  };
  const leave = () => {
    setHover(null);
    onPoint?.(null);
  };
  const move = (event: KeyboardEvent) => {
    const by = moved(event);
    if (by === null) return;
    event.preventDefault();
    const held = (value: number, count: number) => Math.min(count - 1, Math.max(0, value));
    tell(held(at.current[0] + by[0], rows), held(at.current[1] + by[1], columns), 0);
  };
  return (
    <figure className="matrix">
      <div className="matrix-stage">
        <canvas
          ref={canvas}
          width={width}
          height={height}
          aria-label={onPoint === undefined ? label : say`${label}; arrow keys move over its entries`}
          {...(onPoint === undefined
            ? { role: 'img' }
            : { role: 'application', tabIndex: 0, onKeyDown: move, onBlur: leave })}
          onPointerMove={point}
          onPointerLeave={leave}
        />
        {children}
      </div>
      <figcaption>
        <MatrixMenu name={name} now={now} canvas={canvas} />
        {hover ?? caption ?? label}
      </figcaption>
    </figure>
  );
}

/** What the menu saves, as it is then: the menu itself is not drawn anew with the picture, nor for every place that is pointed at. */
interface Now {
  readonly label: string;
  readonly painter: Painter;
}

const MatrixMenu = memo(function MatrixMenu(props: {
  readonly name: string;
  readonly now: RefObject<Now>;
  readonly canvas: RefObject<HTMLCanvasElement | null>;
}) {
  const { name, now, canvas } = props;
  const label = () => now.current.label;
  return (
    <SaveMenu
      of={name}
      items={[
        pngItem(label, () => [canvas.current!]),
        ...matrixItems(label, () => now.current.painter.numbers()),
      ]}
    />
  );
});

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
  value >= 0.01 ? local(String(Number(value.toPrecision(2)))) : tenTo(value);
