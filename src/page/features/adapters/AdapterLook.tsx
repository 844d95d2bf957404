/** A look inside an opened adapter: its factors and what it does to one module's weight. */
import { useMemo } from 'react';
import { METHODS } from '../../../adapters/registry.ts';
import { drawnPattern, layersOf } from '../../../app/settings.ts';
import type { ShelfView } from '../../../app/shelf.ts';
import type { ShelfRow } from '../../../training/protocol.ts';
import { Picker } from '../../parts/Picker.tsx';
import { useChoice, usePage } from '../../usePage.ts';
import { Factors } from '../inspect/Factors.tsx';
import { Learnt } from '../inspect/Learnt.tsx';

export function AdapterLook(props: {
  readonly look: NonNullable<ShelfView['look']>;
  readonly rows: readonly ShelfRow[];
}) {
  const { look, rows } = props;
  const { shelf } = usePage();
  const report = useChoice((s) => s.report);
  const row = rows.find(({ name }) => name === look.name);
  const pattern = useMemo(() => {
    const layer = report && layersOf(report).find(({ name }) => name === look.module);
    if (!row || !layer) return null;
    const method = METHODS[row.method];
    const config = method.schema.safeParse(row.config);
    return config.success ? drawnPattern(row.method, layer, config.data) : null;
  }, [report, row, look.module]);
  if (row === undefined) return null;
  return (
    <section className="block" aria-label={`Inside ${look.name}`}>
      <h3>Inside {look.name}</h3>
      <Picker
        label="Module"
        value={look.module}
        items={row.modules.map((name) => ({ id: name, title: name }))}
        onChange={(module) => void shelf.inspect(look.name, module)}
      />
      {pattern === null || pattern.role === 'none' ? null : (
        <Factors pattern={pattern} inspection={look.value} />
      )}
      {look.value === null ? (
        <p className="hint">Reading the values …</p>
      ) : (
        <Learnt inspection={look.value} step={0} />
      )}
    </section>
  );
}
