/** Block size, factors and dimension to drag, the illegal ones greyed with the reason; and the way from here to the settings of the run. */
import { useMemo, useState } from 'react';
import { say } from '../../../common.ts';
import { METHODS } from '../../../methods.ts';
import { whole } from '../../format.ts';
import { Action } from '../../parts/Action.tsx';
import { Segments } from '../../parts/Controls.tsx';
import { Measured } from '../../parts/Measured.tsx';
import { Range } from '../../parts/Range.tsx';
import { rich } from '../../parts/rich.ts';
import { Stops } from '../../parts/Stops.tsx';
import { useChoice, usePage } from '../../usePage.ts';
import { derive } from '../setup/derive.ts';
import { baseSettings, sameValue, withField } from '../setup/settings.ts';
import {
  blockStops,
  dimensionStops,
  factorStops,
  fieldsOf,
  freeNumbers,
  reachText,
  refusal,
  type Setting,
  type Stop,
} from './setting.ts';

export function Playground(props: {
  readonly setting: Setting;
  /** What the layer and the settings of the page give; null while that is what is shown. */
  readonly base: Setting | null;
  readonly layer: string;
  /** Sizes that the model has. */
  readonly dimensions: readonly number[];
  readonly onChange: (setting: Setting | null) => void;
}) {
  const { setting, base, layer, dimensions, onChange } = props;
  const { method, dimension, block, factors } = setting;
  const free = useMemo(() => freeNumbers(setting), [setting]);
  const toMethod = (next: Setting['method']) => {
    const one: Setting = { ...setting, method: next, factors: next === 'oft' ? 1 : factors, shared: false };
    if (refusal(one) === null) onChange(one);
  };
  return (
    <section className="playground" aria-label={say`Wiring to try`}>
      <Segments
        label={say`Method`}
        value={method}
        items={[
          { id: 'oft', title: 'OFT', detail: say`one factor` },
          { id: 'boft', title: 'BOFT', detail: say`butterfly factors` },
        ]}
        onChange={toMethod}
      />
      <Dial
        title={say`Inputs`}
        symbol="d"
        value={dimension}
        stops={dimensionStops(setting, dimensions)}
        onChange={(value) => onChange({ ...setting, dimension: value })}
      />
      <Dial
        title={say`Block size`}
        symbol="b"
        value={block}
        stops={blockStops(setting)}
        onChange={(value) => onChange({ ...setting, block: value })}
      />
      <Dial
        title={say`Factors`}
        symbol="m"
        value={factors}
        stops={factorStops(setting)}
        onChange={(value) => onChange({ ...setting, factors: value })}
      />
      <p className="row playground-end">
        <span data-testid="free">
          {rich`${<b>{whole(free)}</b>} free numbers in the rotation`}
          <Measured of="free-numbers" about={say`free numbers`} />
        </span>
        <span data-testid="how-far">
          {reachText(setting)}
          <Measured of="reach" about={say`reach`} />
        </span>
        {base === null ? null : <Use setting={setting} onBack={() => onChange(null)} layer={layer} />}
      </p>
    </section>
  );
}

/** A slider over the legal values, and below it all values: the illegal ones with the reason. */
function Dial(props: {
  readonly title: string;
  readonly symbol: string;
  readonly value: number;
  readonly stops: readonly Stop[];
  readonly onChange: (value: number) => void;
}) {
  const { title, symbol, value, stops, onChange } = props;
  const legal = stops.filter(({ reason }) => reason === null).map((stop) => stop.value);
  const reasons = useMemo(() => new Map(stops.map((stop) => [stop.value, stop.reason])), [stops]);
  return (
    <div className="dial">
      <Range
        label={title}
        tip={<i className="symbol">{symbol}</i>}
        value={Math.max(0, legal.indexOf(value))}
        min={0}
        max={legal.length - 1}
        step={1}
        format={() => String(value)}
        onChange={(at) => onChange(legal[at]!)}
      />
      <Stops
        title={title}
        stops={stops.map((stop) => stop.value)}
        reasonFor={(stop) => reasons.get(stop) ?? null}
        value={value}
        onChange={onChange}
      />
    </div>
  );
}

/** Carries the wiring to the method's settings; greyed where the targets do not allow it. */
function Use(props: { readonly setting: Setting; readonly layer: string; readonly onBack: () => void }) {
  const { setting, layer, onBack } = props;
  const page = usePage();
  const settings = useChoice((s) => s.settings);
  const report = useChoice((s) => s.report);
  const startFrom = useChoice((s) => s.startFrom);
  const [refused, setRefused] = useState<string | null>(null);
  const fields = Object.entries(fieldsOf(setting));
  const reason = useMemo(() => {
    if (startFrom !== null)
      return say`The run goes on from ${startFrom.name}, whose own configuration counts.`;
    const start =
      settings.method === setting.method
        ? settings
        : baseSettings(settings.preset, { ...settings, method: setting.method });
    let next = start;
    for (const [key, value] of Object.entries(fieldsOf(setting))) next = withField(next, report, key, value);
    return derive(next, report).problem;
  }, [settings, report, startFrom, setting]);
  const use = () => {
    if (settings.method !== setting.method) page.choose({ method: setting.method });
    const { config } = page.choice.getState().settings;
    for (const [key, value] of fields) {
      if (sameValue(config[key], value)) continue;
      const why = page.setConfig(key, value);
      if (why !== null) return setRefused(why);
    }
    onBack();
  };
  return (
    <>
      <span className="row playground-use">
        <Action kind="link" text={say`back to ${layer}`} onPress={onBack} />
        <Action text={say`Use these settings`} isDisabled={reason !== null} onPress={use} />
      </span>
      {(reason ?? refused) === null ? null : (
        <span
          className="hint playground-reason"
          role="status"
        >{say`Not for ${METHODS[setting.method].title} on what is targeted now: ${reason ?? refused ?? ''}`}</span>
      )}
    </>
  );
}
