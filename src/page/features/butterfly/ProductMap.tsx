/** The product of the first k factors: where it fills in, how much of it, and from which k on it is dense. */
import { useCallback, useMemo } from 'react';
import { say } from '../../../common.ts';
import { percent, pretty, whole } from '../../format.ts';
import { Measured } from '../../parts/Measured.tsx';
import { Range } from '../../parts/Range.tsx';
import { rich } from '../../parts/rich.ts';
import { usePage, useUi } from '../../usePage.ts';
import { MatrixCanvas, type Painter } from '../inspect/MatrixCanvas.tsx';
import { type MapColors, numbersBy, useMapColors } from '../inspect/painters.ts';
import { node } from './focus.ts';
import { Overlay } from './Overlay.tsx';
import type { View } from './view.ts';
import { denseFrom, filledIn, forFilled, productsOf, type Wiring } from './wiring.ts';

/** Whether any of the bits from `first` on to before `end` is set. */
function isAnySet(bits: Uint32Array, first: number, end: number): boolean {
  for (let at = first; at < end; at = (at | 31) + 1) {
    const most = Math.min(end - at, 32 - (at & 31));
    if (((bits[at >>> 5]! >>> (at & 31)) & (0xffffffff >>> (32 - most))) !== 0) return true;
  }
  return false;
}

/** Where the product of the first k factors can differ from zero. */
export function productPainter(wiring: Wiring, k: number, colors: MapColors): Painter {
  const { size, block, stages } = wiring;
  const isFilled = filledIn(wiring, k);
  return {
    rows: size,
    columns: size,
    paint({ pixels, width, height, scale }) {
      const { words, bits } = productsOf(wiring)[k - 1]!;
      const { group } = stages[k - 1]!;
      const union = new Uint32Array(words);
      for (let y = 0; y < height; y++) {
        union.fill(0);
        for (let row = y * scale; row < Math.min(size, (y + 1) * scale); row++)
          for (let w = 0, from = group[row]! * words; w < words; w++) union[w]! |= bits[from + w]!;
        for (let x = 0; x < width; x++)
          pixels[y * width + x] = isAnySet(union, x * scale, Math.min(size, (x + 1) * scale))
            ? colors.tones[0]
            : colors.zero;
      }
    },
    describe: (row, column) =>
      isFilled(row, column)
        ? say`input ${column} reaches output ${row}`
        : say`input ${column} does not reach output ${row} (blocks of ${block})`,
    numbers: () => numbersBy(size, size, isFilled),
  };
}

export const reachedOf = (wiring: Wiring, k: number): number =>
  Math.round(productsOf(wiring)[k - 1]!.fill * wiring.size);

export function ProductMap({ view }: { readonly view: View }) {
  const { wiring } = view;
  const colors = useMapColors();
  const page = usePage();
  const multiply = useCallback((factors: number) => page.ui.setState({ factors }), [page]);
  const wanted = useUi((s) => s.factors);
  const m = wiring.stages.length;
  const k = Math.min(m, wanted ?? m);
  const painter = useMemo(() => productPainter(wiring, k, colors), [wiring, k, colors]);
  const entries = useMemo(
    () => (lit: readonly Uint8Array[], _: unknown, see: (row: number, column: number) => void) =>
      forFilled(wiring, k, lit[0]!, lit[k]!, see),
    [wiring, k],
  );
  const dense = denseFrom(wiring);
  const { fill } = productsOf(wiring)[k - 1]!;
  const name = wiring.stages
    .slice(0, k)
    .map(({ label }) => pretty(label))
    .reverse()
    .join(' ');
  return (
    <div className="composed">
      <MatrixCanvas
        painter={painter}
        label={
          k === 1
            ? say`Product of 1 factor, ${percent(fill)} filled`
            : say`Product of ${k} factors, ${percent(fill)} filled`
        }
        name={say`Product of factors`}
        caption={say`${name} · ${percent(fill)} filled`}
        onPoint={(entry) =>
          view.point(
            entry !== null && filledIn(wiring, k)(entry.row, entry.column)
              ? { from: node(0, entry.column), to: node(k, entry.row) }
              : null,
          )
        }
      >
        <Overlay view={view} name="product" hasValues={false} entries={entries} />
      </MatrixCanvas>
      <div className="composed-text" data-testid="fill">
        <h4>{m === 1 ? say`One factor is its own product` : say`The product of the first ${k}`}</h4>
        {m === 1 ? null : (
          <Range label={say`Factors multiplied`} value={k} min={1} max={m} step={1} onChange={multiply} />
        )}
        <p>
          {rich`Each input reaches ${<b>{whole(reachedOf(wiring, k))}</b>} of ${<b>{whole(wiring.size)}</b>} outputs; ${<b>{percent(fill)}</b>} of the product can differ from zero.`}
          <Measured of="reach" about={say`reach and fill`} />
        </p>
        <p className="hint">
          {dense === null
            ? m === 1
              ? say`Not dense with one factor: larger blocks or more factors reach further.`
              : say`Not dense with ${m} factors: larger blocks or more factors reach further.`
            : dense === 1
              ? say`Dense from the first factor on: every input reaches every output.`
              : say`Dense from ${dense} factors on: every input reaches every output.`}
        </p>
      </div>
    </div>
  );
}
