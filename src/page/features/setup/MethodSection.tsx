/** The method: which, what it is, and its settings as its schema describes them. */
import { useDeferredValue, useMemo } from 'react';
import { Button, Radio, RadioGroup } from 'react-aria-components';
import { fieldMeta } from '../../../adapters/fields.ts';
import type { MethodId } from '../../../adapters/registry.ts';
import { METHODS } from '../../../adapters/registry.ts';
import { FAMILIES } from '../../../adapters/types.ts';
import { controlOf, stopsOf } from '../../../app/controls.ts';
import { derive } from '../../../app/derive.ts';
import { baseOf, configShape, fullConfig, withField } from '../../../app/settings.ts';
import { Formula } from '../../parts/Formula.tsx';
import { useChoice, usePage } from '../../usePage.ts';
import { Advanced, Field } from './Field.tsx';
import { Section } from './Section.tsx';

const GREEK: Readonly<Record<string, string>> = { '\\alpha': 'α', '\\varepsilon': 'ε' };

const GROUPS = Object.entries(FAMILIES).map(([id, family]) => ({
  family,
  methods: Object.values(METHODS).filter((method) => method.family === id),
}));

export function MethodSection() {
  const page = usePage();
  const method = useChoice((s) => s.settings.method);
  const { card } = METHODS[method];
  return (
    <Section name="method" title="Method" summary={METHODS[method].title}>
      <RadioGroup
        className="families"
        aria-label="Method"
        value={method}
        onChange={(id) => page.choose({ method: id as MethodId })}
      >
        {GROUPS.map(({ family, methods }) => (
          <div key={family} className="family">
            <span className="family-name">{family}</span>
            <span className="segments">
              {methods.map(({ id, title }) => (
                <Radio key={id} value={id} className="segment">
                  {title}
                </Radio>
              ))}
            </span>
          </div>
        ))}
      </RadioGroup>
      <StartNote />
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

/** A run that goes on from an adapter: which, and the way back. */
function StartNote() {
  const page = usePage();
  const startFrom = useChoice((s) => s.startFrom);
  if (startFrom === null)
    return (
      <Button className="text-button" onPress={() => page.ui.setState({ panel: 'see', seeTab: 'adapters' })}>
        or go on from an adapter
      </Button>
    );
  return (
    <section className="notice-card start-note" aria-label="Where the run begins">
      <p>
        Goes on from <b>{startFrom.name}</b>: its method, targets and settings count; data and training are
        yours to choose.
      </p>
      <Button className="text-button" onPress={() => page.startAfresh()}>
        start afresh instead
      </Button>
    </section>
  );
}

function MethodForm() {
  const page = usePage();
  const settings = useChoice((s) => s.settings);
  const report = useChoice((s) => s.report);
  const shape = configShape(settings.method);
  const config = fullConfig(settings, report) as unknown as Record<string, unknown>;
  const initial = fullConfig(baseOf(settings), report) as unknown as Record<string, unknown>;
  // Each stop derives everything once more: that comes after the input is on screen.
  const shown = useDeferredValue(settings);
  /** Why a value is illegal with everything else as it is. */
  const reasonFor = useMemo(() => {
    const found = new Map<string, string | null>();
    return (key: string, value: number): string | null => {
      if (!Object.hasOwn(configShape(shown.method), key)) return null;
      const name = `${key} ${value}`;
      if (!found.has(name)) found.set(name, derive(withField(shown, report, key, value), report).problem);
      return found.get(name)!;
    };
  }, [shown, report]);
  const { steps, epochs } = settings.training;
  const decided = METHODS[settings.method].forRun?.(config, steps) ?? {};
  const filledBy = (key: string): string | undefined => {
    if (!Object.hasOwn(decided, key)) return undefined;
    return epochs > 0
      ? 'Left open: the run fills in its own steps, once its data is open.'
      : `Left open: filled in by the run, ${String(decided[key])}.`;
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
        filled={filledBy(key)}
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
