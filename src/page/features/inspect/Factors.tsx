/** The strip of factors, and the product of the first k of them with how full it is. */
import { useMemo } from 'react';
import { composedPattern, drawnRows, factorNonZeros, factorSize } from '../../../adapters/sparsity.ts';
import type { Pattern } from '../../../adapters/types.ts';
import { percent, whole } from '../../../app/format.ts';
import type { Inspection } from '../../../training/protocol.ts';
import { Range } from '../../parts/Range.tsx';
import { usePage, useUi } from '../../usePage.ts';
import { Equation, isEquation } from './Equation.tsx';
import { MatrixCanvas } from './MatrixCanvas.tsx';
import { composedPainter, factorPainter, learntFactorPainter } from './painters.ts';
import { pretty } from './pretty.ts';
import { Scale } from './Scale.tsx';
import { useMapColors } from './useMapColors.ts';

const FACTOR_LIMIT = 0.2;

export function Factors({
  pattern,
  inspection,
}: {
  readonly pattern: Pattern;
  readonly inspection: Inspection | null;
}) {
  const colors = useMapColors();
  const asShapes = isEquation(pattern);
  const live = inspection?.factors?.length === pattern.factors.length ? inspection.factors : null;
  const painters = useMemo(
    () =>
      pattern.factors.map((factor, i) => {
        const values = live?.[i];
        return values === undefined
          ? factorPainter(factor, colors)
          : learntFactorPainter(factor, values.data, FACTOR_LIMIT, colors);
      }),
    [pattern, live, colors],
  );
  return (
    <section className="block" aria-label="Factors">
      <div className="block-head">
        <h3>{pattern.factors.length === 1 ? 'The factor' : `${pattern.factors.length} factors`}</h3>
        {live === null ? (
          <span className="hint">{asShapes ? 'drawn to scale' : 'where it can differ from zero'}</span>
        ) : (
          <span className="hint">
            learnt part, B − I <Scale limit={FACTOR_LIMIT} />
          </span>
        )}
      </div>
      {asShapes ? <Equation pattern={pattern} /> : null}
      <div hidden={asShapes} className={`strip strip-${Math.min(4, pattern.factors.length)}`}>
        {(asShapes ? [] : pattern.factors).map((factor, i) => {
          const [rows, columns] = factorSize(factor);
          const filled = factorNonZeros(factor);
          return (
            <MatrixCanvas
              // biome-ignore lint/suspicious/noArrayIndexKey: a factor is its index.
              key={i}
              painter={painters[i]!}
              label={`Factor ${factor.label}, ${rows} by ${columns}, ${whole(filled)} entries`}
              caption={`${pretty(factor.label)} · ${rows} × ${columns} · ${whole(filled)} entries, ${percent(filled / (rows * columns))}`}
            />
          );
        })}
      </div>
      {pattern.role === 'rotation' && pattern.factors.length > 1 ? <Composed pattern={pattern} /> : null}
      {pattern.role === 'rotation' && pattern.factors.length === 1 ? <Alone pattern={pattern} /> : null}
    </section>
  );
}

function Composed({ pattern }: { readonly pattern: Pattern }) {
  const page = usePage();
  const colors = useMapColors();
  const wanted = useUi((s) => s.factors);
  const m = pattern.factors.length;
  const k = Math.min(m, wanted ?? m);
  const size = factorSize(pattern.factors[0]!)[0];
  const { every, picked } = useMemo(() => drawnRows(size), [size]);
  const composed = useMemo(() => composedPattern(pattern, k, picked), [pattern, k, picked]);
  const denseAt = useMemo(() => {
    const some = drawnRows(size, 16 * size).picked;
    for (let n = 1; n <= m; n++) if (composedPattern(pattern, n, some).fill === 1) return n;
    return null;
  }, [pattern, m, size]);
  const painter = useMemo(
    () => composedPainter(composed, every, size, colors),
    [composed, every, size, colors],
  );
  const reach = composed.rows[0]?.length ?? 0;
  const first = pattern.factors
    .slice(0, k)
    .map(({ label }) => pretty(label))
    .reverse()
    .join(' ');
  return (
    <div className="composed">
      <MatrixCanvas
        painter={painter}
        label={`Product of ${k} factors, ${percent(composed.fill)} filled`}
        caption={`${first} · ${percent(composed.fill)} filled`}
      />
      <div className="composed-text">
        <h4>Their product</h4>
        <Range
          label="Factors multiplied"
          value={k}
          min={1}
          max={m}
          step={1}
          onChange={(value) => page.ui.setState({ factors: value })}
        />
        <p>
          Each input reaches <b>{reach}</b> of <b>{size}</b> outputs; <b>{percent(composed.fill)}</b> of the
          product can differ from zero.
        </p>
        <p className="hint">
          {denseAt === null
            ? 'Not dense: more factors would let every input reach every output.'
            : `Dense from ${denseAt} factors on.`}
        </p>
      </div>
    </div>
  );
}

/** A single factor is its own product. */
function Alone({ pattern }: { readonly pattern: Pattern }) {
  const size = factorSize(pattern.factors[0]!)[0];
  const { rows, fill } = composedPattern(pattern, 1, drawnRows(size).picked);
  return (
    <p className="hint">
      Each input reaches <b>{rows[0]?.length ?? 0}</b> of <b>{size}</b> outputs ({percent(fill)}): one factor
      mixes inputs within a block only. Butterfly factors reach further.
    </p>
  );
}
