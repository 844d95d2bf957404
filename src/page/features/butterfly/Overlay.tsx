/** What is lit in a matrix, laid over its picture: entries in one colour, or all others dimmed where the entries have colours of their own. */
import { type RefObject, useCallback, useEffect, useMemo, useRef } from 'react';
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

/** Draws whenever something else is lit, or is to be drawn otherwise; what is not on screen, when it comes there. */
function useDrawnWhenSeen(canvas: RefObject<HTMLElement | null>, { store }: View, draw: () => void): void {
  const turn = useRef({ draw, isSeen: false, isDue: true, takeBack: () => {} });
  const wish = useCallback(() => {
    const now = turn.current;
    now.isDue = !now.isSeen;
    if (now.isSeen) now.takeBack = drawSoon(canvas.current!, () => now.draw());
  }, [canvas]);
  useEffect(() => {
    const now = turn.current;
    const endWatch = watchSeen(canvas.current!, (isSeen) => {
      now.isSeen = isSeen;
      if (now.isDue) wish();
    });
    const end = store.subscribe((after, before) => {
      if (shownFocus(after) !== shownFocus(before)) wish();
    });
    return () => {
      endWatch();
      end();
      now.takeBack();
    };
  }, [canvas, store, wish]);
  useEffect(() => {
    turn.current.draw = draw;
    wish();
  }, [draw, wish]);
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
  /** What was drawn last: its pixels, made when something is lit the first time, and what is said of it. */
  const drawn = useRef<{ image: ImageData | null; isClear: boolean; said: string }>({
    ...{ image: null, isClear: true, said: '' },
  });
  const colors = useLitColors();
  const { size } = view.wiring;
  const scale = scaleOf(size, size);
  const side = Math.ceil(size / scale);
  const draw = useCallback(() => {
    const element = canvas.current!;
    const now = drawn.current;
    const context = pixelContext(element);
    const focus = shownFocus(view.store.getState());
    const lit = view.lit();
    let count = 0;
    let [row, column] = [0, 0];
    if (focus !== null && lit !== null) {
      if (now.image?.width !== side) now.image = new ImageData(side, side);
      const pixels = new Uint32Array(now.image.data.buffer);
      const [color, ground] = hasValues ? [0, pixelOfHex(colors.dim, DIMMED)] : [pixelOfHex(colors.lit), 0];
      entries(lit, focus, (r, c) => {
        if (count === 0) pixels.fill(ground);
        pixels[Math.floor(r / scale) * side + Math.floor(c / scale)] = color;
        count++;
        row = r;
        column = c;
      });
    }
    if (count > 0) context?.putImageData(now.image!, 0, 0);
    else if (!now.isClear) context?.clearRect(0, 0, side, side);
    now.isClear = count === 0;
    const entry = count === 1 ? `${row},${column}` : '';
    const said = `${size} ${count} ${entry}`;
    if (now.said === said) return;
    now.said = said;
    element.dataset.lit = String(count);
    element.dataset.entry = entry;
    const mark = ring.current!;
    mark.hidden = count !== 1;
    if (count !== 1) return;
    mark.style.top = `${(100 * (row + 0.5)) / size}%`;
    mark.style.left = `${(100 * (column + 0.5)) / size}%`;
  }, [view, entries, hasValues, colors, side, scale, size]);
  useDrawnWhenSeen(canvas, view, draw);
  return (
    <>
      <canvas ref={canvas} className="overlay-canvas" data-testid={name} width={side} height={side} />
      <span ref={ring} className="overlay-ring" hidden />
    </>
  );
}
