/** What is lit in a matrix, laid over its picture: entries in one colour, or all others dimmed where the entries have colours of their own. */
import { useEffect, useMemo, useRef } from 'react';
import { cssColor } from '../../parts/Chart.tsx';
import { watchSeen } from '../../parts/seen.ts';
import { useUi } from '../../usePage.ts';
import { drawSoon } from '../inspect/frames.ts';
import { scaleOf } from '../inspect/MatrixCanvas.tsx';
import { pixelContext, pixelOfHex } from '../inspect/pixels.ts';
import type { Focus } from './focus.ts';
import { shownFocus, type View } from './view.ts';

/** The colours of what is lit, as CSS has them, for the theme in force. */
export function useLitColors(): {
  readonly lit: string;
  readonly dim: string;
  readonly line: string;
  readonly ink: string;
} {
  const scheme = useUi((s) => s.scheme);
  // biome-ignore lint/correctness/useExhaustiveDependencies: the scheme is what changes the variables that are read.
  return useMemo(
    () => ({
      lit: cssColor('--line-1'),
      dim: cssColor('--surface'),
      line: cssColor('--line-strong'),
      ink: cssColor('--ink-2'),
    }),
    [scheme],
  );
}

/** How much of the others is hidden, of 255. */
const DIMMED = 130;

/** Draws whenever something else is lit; what is not on screen, when it comes there. @returns ends it */
function drawWhenSeen(element: HTMLElement, { store }: View, draw: () => void): () => void {
  let isSeen = false;
  let isDue = true;
  let takeBack = () => {};
  const wish = () => {
    isDue = !isSeen;
    if (isSeen) takeBack = drawSoon(element, draw);
  };
  const endWatch = watchSeen(element, (now) => {
    isSeen = now;
    if (isDue) wish();
  });
  const end = store.subscribe((now, before) => {
    if (shownFocus(now) !== shownFocus(before)) wish();
  });
  return () => {
    endWatch();
    end();
    takeBack();
  };
}

export function Overlay(props: {
  readonly view: View;
  readonly name: string;
  /** The entries have colours that are to be seen. */
  readonly hasValues: boolean;
  /** Every lit entry, told to `see`. */
  readonly entries: (
    lit: readonly Uint8Array[],
    focus: Focus,
    see: (row: number, column: number) => void,
  ) => void;
}) {
  const { view, name, hasValues, entries } = props;
  const canvas = useRef<HTMLCanvasElement>(null);
  const ring = useRef<HTMLSpanElement>(null);
  const isClear = useRef(true);
  const colors = useLitColors();
  const { size } = view.wiring;
  const scale = scaleOf(size, size);
  const side = Math.ceil(size / scale);
  useEffect(() => {
    const element = canvas.current!;
    const mark = ring.current!;
    const image = new ImageData(side, side);
    const pixels = new Uint32Array(image.data.buffer);
    let shown = '';
    const show = (count: number, row: number, column: number) => {
      const entry = count === 1 ? `${row},${column}` : '';
      if (shown === `${count} ${entry}`) return;
      shown = `${count} ${entry}`;
      element.dataset.lit = String(count);
      element.dataset.entry = entry;
      mark.hidden = count !== 1;
      if (count !== 1) return;
      mark.style.top = `${(100 * (row + 0.5)) / size}%`;
      mark.style.left = `${(100 * (column + 0.5)) / size}%`;
    };
    const draw = () => {
      const context = pixelContext(element);
      const focus = shownFocus(view.store.getState());
      const lit = view.lit();
      let count = 0;
      let [row, column] = [0, 0];
      if (focus !== null && lit !== null) {
        const [color, ground] = hasValues ? [0, pixelOfHex(colors.dim, DIMMED)] : [pixelOfHex(colors.lit), 0];
        entries(lit, focus, (r, c) => {
          if (count === 0) pixels.fill(ground);
          pixels[Math.floor(r / scale) * side + Math.floor(c / scale)] = color;
          count++;
          row = r;
          column = c;
        });
      }
      if (count > 0) context?.putImageData(image, 0, 0);
      else if (!isClear.current) context?.clearRect(0, 0, side, side);
      isClear.current = count === 0;
      show(count, row, column);
    };
    return drawWhenSeen(element, view, draw);
  }, [view, entries, hasValues, colors, side, scale, size]);
  return (
    <>
      <canvas ref={canvas} className="overlay-canvas" data-testid={name} width={side} height={side} />
      <span ref={ring} className="overlay-ring" hidden />
    </>
  );
}
