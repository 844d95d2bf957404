/** Quality against the numbers that train: one point a method. */
import { useMemo } from 'react';
import { METHODS } from '../../../adapters/registry.ts';
import type { MethodRow } from '../../../training/protocol.ts';
import { Chart, type ChartSpec } from '../../parts/Chart.tsx';

const COLORS = 6;

export function MethodChart({ rows }: { readonly rows: readonly MethodRow[] }) {
  const spec = useMemo(
    () => (): ChartSpec => ({
      lines: rows.map((row, i) => ({
        name: METHODS[row.method].title,
        x: [row.trainable.free],
        y: [row.after],
        color: `--line-${i % COLORS}`,
        width: 0,
        hasMarkers: true,
        text: METHODS[row.method].title,
      })),
      xTitle: 'free parameters',
      yTitle: `held-out ${rows[0]?.metric ?? ''}`,
      isShare: rows[0]?.metric === 'accuracy',
      isLog: false,
    }),
    [rows],
  );
  return (
    <section className="block" aria-label="Quality by parameters">
      <h3>Quality by free parameters</h3>
      <Chart
        spec={spec}
        sources={NONE}
        label="Quality by parameters, figures in the table above"
        height={220}
      />
    </section>
  );
}

const NONE = [] as const;
