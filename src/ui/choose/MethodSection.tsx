/** The method: which, what it is, and its settings as its schema describes them. */
import { Radio, RadioGroup } from 'react-aria-components';
import { fieldMeta } from '../../adapters/fields.ts';
import { METHODS } from '../../adapters/registry.ts';
import type { MethodId } from '../../adapters/registry.ts';
import { controlOf, stopsOf } from '../../app/controls.ts';
import { derive } from '../../app/derive.ts';
import { baseOf, configShape, fullConfig } from '../../app/settings.ts';
import { Formula } from '../parts/Formula.tsx';
import { Section } from '../parts/Section.tsx';
import { useChoice, usePage } from '../usePage.ts';
import { Advanced, Field } from './Field.tsx';

const GREEK: Readonly<Record<string, string>> = { '\\alpha': 'α', '\\varepsilon': 'ε' };

export function MethodSection() {
  const page = usePage();
  const method = useChoice((s) => s.settings.method);
  const { card } = METHODS[method];
  return (
    <Section name="method" title="Method" summary={METHODS[method].title}>
      <RadioGroup
        className="segments"
        aria-label="Method"
        value={method}
        onChange={(id) => page.choose({ method: id as MethodId })}
      >
        {Object.values(METHODS).map(({ id, title }) => (
          <Radio key={id} value={id} className="segment">
            {title}
          </Radio>
        ))}
      </RadioGroup>
      <div className="method-card">
        <p>{card.idea}</p>
        <Formula source={card.formula} />
        <p className="try-this">
          <b>Try this.</b> {card.tryThis}
        </p>
        <p className="paper">{card.paper}</p>
      </div>
      <MethodForm />
    </Section>
  );
}

function MethodForm() {
  const page = usePage();
  const settings = useChoice((s) => s.settings);
  const report = useChoice((s) => s.report);
  const shape = configShape(settings.method);
  const config = fullConfig(settings) as unknown as Record<string, unknown>;
  const initial = fullConfig(baseOf(settings)) as unknown as Record<string, unknown>;
  /** Why a value is illegal with everything else as it is. */
  const reasonFor = (key: string, value: number): string | null => {
    const { problem } = derive({ ...settings, config: { ...settings.config, [key]: value } }, report);
    return problem;
  };
  const field = (key: string) => {
    const schema = shape[key]!;
    const meta = fieldMeta(schema)!;
    const control = controlOf(schema, meta.options);
    const stops = control.kind === 'number' && control.isWhole ? stopsOf(meta.min, meta.max) : [];
    return (
      <Field
        key={`${settings.method}.${key}`}
        id={`config-${key}`}
        title={meta.title}
        symbol={meta.symbol === undefined ? undefined : (GREEK[meta.symbol] ?? meta.symbol)}
        description={meta.description}
        control={control}
        value={config[key]}
        initial={initial[key]}
        stops={stops.map((value) => ({ value, reason: reasonFor(key, value) }))}
        onChange={(value) => page.setConfig(key, value)}
      />
    );
  };
  const keys = (group: string) => Object.keys(shape).filter((key) => fieldMeta(shape[key]!)?.group === group);
  const advanced = keys('advanced');
  return (
    <>
      {keys('main').map(field)}
      {advanced.length > 0 ? <Advanced count={advanced.length}>{advanced.map(field)}</Advanced> : null}
    </>
  );
}
