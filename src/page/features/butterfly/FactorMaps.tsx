/** The factors one by one, beside the numbers that a block of them learns; pointing at an entry or a number lights its edge. */
import { useMemo } from 'react';
import { useStore } from 'zustand';
import { facts, say } from '../../../common.ts';
import { type Factor, factorNonZeros, type Pattern } from '../../../methods.ts';
import type { Inspection } from '../../../protocol.ts';
import { percent, pretty, real, whole } from '../../format.ts';
import { Block } from '../../parts/Facts.tsx';
import { factorPainter, learntFactorPainter } from '../inspect/factorPainters.ts';
import { MatrixCanvas, Scale } from '../inspect/MatrixCanvas.tsx';
import { type MapColors, useMapColors } from '../inspect/painters.ts';
import { entryOf, focusOnEntry, forLit } from './focus.ts';
import { Overlay } from './Overlay.tsx';
import {
  type Parameter,
  pairsOf,
  parameterOf,
  parametersOf,
  parameterValue,
  storedText,
} from './parameters.ts';
import { shownFocus, type View } from './view.ts';

type Blocks = Extract<Factor, { kind: 'blocks' }>;
export type Learnt = NonNullable<Inspection['factors']>;

const FACTOR_LIMIT = 0.2;

export function FactorMaps(props: {
  readonly view: View;
  readonly pattern: Pattern;
  readonly learnt: Learnt | null;
  readonly tensor: { readonly name: string; readonly data: Float32Array | null };
  readonly isSquare: boolean;
}) {
  const { view, pattern, learnt, tensor, isSquare } = props;
  const colors = useMapColors();
  const count = pattern.factors.length;
  return (
    <Block
      title={count === 1 ? say`The factor` : say`${count} factors`}
      label={say`Factors`}
      beside={
        learnt === null ? (
          <span className="hint">{say`where it can differ from zero`}</span>
        ) : (
          <span className="hint">
            {say`learnt part, B − I`} <Scale limit={FACTOR_LIMIT} />
          </span>
        )
      }
    >
      <div className={`strip strip-${Math.min(4, count)}`}>
        {pattern.factors.map((factor, i) => (
          <FactorMap
            key={factor.label}
            view={view}
            index={i}
            factor={factor as Blocks}
            values={learnt?.[i]?.data ?? null}
            colors={colors}
          />
        ))}
      </div>
      <ParameterList view={view} tensor={tensor} isSquare={isSquare} />
    </Block>
  );
}

/** Of a row, the entry of its block nearest to a column, if it is at most so far away. */
function nearestIn(
  { group, members }: View['wiring']['stages'][number],
  block: number,
  row: number,
  column: number,
  far: number,
): number | null {
  const g = group[row]!;
  let best: number | null = null;
  for (const one of members.subarray(g * block, (g + 1) * block))
    if (Math.abs(one - column) <= far && (best === null || Math.abs(one - column) < Math.abs(best - column)))
      best = one;
  return best;
}

function FactorMap(props: {
  readonly view: View;
  readonly index: number;
  readonly factor: Blocks;
  readonly values: Float32Array | null;
  readonly colors: MapColors;
}) {
  const { view, index, factor, values, colors } = props;
  const painter = useMemo(
    () =>
      values === null
        ? factorPainter(factor, colors)
        : learntFactorPainter(factor, values, FACTOR_LIMIT, colors),
    [factor, values, colors],
  );
  const entries = useMemo(
    () => (lit: readonly Uint8Array[], _: unknown, see: (row: number, column: number) => void) =>
      forLit(view.wiring, lit, index, see),
    [view, index],
  );
  const { size, block, label } = factor;
  const filled = factorNonZeros(factor);
  return (
    <MatrixCanvas
      painter={painter}
      label={say`Factor ${label}, ${size} by ${size}, ${whole(filled)} entries`}
      caption={say`${pretty(label)} · ${size} × ${size} · ${whole(filled)} entries, ${percent(filled / size ** 2)}`}
      onPoint={(entry) => {
        if (entry === null) return view.point(null);
        const column = nearestIn(
          view.wiring.stages[index]!,
          block,
          entry.row,
          entry.column,
          Math.ceil(2 * entry.near) - 1,
        );
        view.point(column === null ? null : focusOnEntry(index, entry.row, column));
      }}
    >
      <Overlay view={view} name={`factor-${index}`} hasValues={values !== null} entries={entries} />
    </MatrixCanvas>
  );
}

/** Numbers that are listed at once. */
const LISTED = 36;

/** The numbers of the block that was last pointed at. */
function numbersText(total: number, isShared: boolean, first: number): string {
  return facts([
    total === 1 ? say`1 free number` : say`${whole(total)} free numbers`,
    ...(isShared ? [say`shared by all blocks`] : []),
    ...(total > LISTED ? [say`${first + 1} to ${Math.min(total, first + LISTED)} of them here`] : []),
  ]);
}

function ParameterList(props: {
  readonly view: View;
  readonly tensor: { readonly name: string; readonly data: Float32Array | null };
  readonly isSquare: boolean;
}) {
  const { view, tensor, isSquare } = props;
  const { wiring } = view;
  const { factor, block } = useStore(view.store, (s) => s.listed);
  const focus = useStore(view.store, shownFocus);
  const entry = focus && entryOf(focus);
  const meant = entry && parameterOf(wiring, isSquare, entry.factor, entry.row, entry.column);
  const b = wiring.block;
  const total = pairsOf(b);
  // Of a large block the numbers around the one that is meant.
  const place =
    meant === null ? 0 : meant.low * b - (meant.low * (meant.low + 1)) / 2 + meant.high - meant.low - 1;
  const first = Math.floor(place / LISTED) * LISTED;
  const list = useMemo(
    () => parametersOf(wiring, isSquare, factor, block, first, LISTED),
    [wiring, isSquare, factor, block, first],
  );
  const isMeant = (one: Parameter) =>
    meant !== null &&
    meant.factor === one.factor &&
    meant.block === one.block &&
    meant.low === one.low &&
    meant.high === one.high;
  return (
    <div className="parameters">
      <p>
        <b>{say`Factor ${factor}, block ${block}`}</b>{' '}
        <span className="hint">
          {b === 1 ? say`a block of 1 learns nothing` : numbersText(total, wiring.shared, first)}
        </span>
      </p>
      <ul aria-label={say`Numbers of the block`} data-testid="parameters">
        {list.map((one) => {
          const [low, high] = one.rows;
          const point = () => view.point(focusOnEntry(one.factor, low, high));
          return (
            <li key={`${one.low} ${one.high}`}>
              <button
                type="button"
                className={isMeant(one) ? 'parameter is-lit' : 'parameter'}
                data-lit={isMeant(one)}
                title={say`${storedText(wiring, one, tensor.name)}; moves entries (${low}, ${high}) and (${high}, ${low}) first`}
                onPointerEnter={point}
                onPointerLeave={() => view.point(null)}
                onFocus={point}
                onBlur={() => view.point(null)}
                onClick={() => view.pin(focusOnEntry(one.factor, low, high))}
              >
                ({low}, {high})
                {tensor.data === null ? null : (
                  <b className="tabular">{real(parameterValue(one, tensor.data))}</b>
                )}
              </button>
            </li>
          );
        })}
      </ul>
    </div>
  );
}
