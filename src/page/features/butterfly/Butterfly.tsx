/**
 * The butterfly view: how a rotation is wired, factor by factor, as a graph and as a product, and - where a run trains it - what it has
 * learnt. It begins with the layer and the settings that are chosen and can be turned to any other wiring.
 */
import { useMemo, useRef, useState } from 'react';
import { say } from '../../../common.ts';
import { type CommonConfig, type Layer, METHODS, type MethodId, type Pattern } from '../../../methods.ts';
import { rich } from '../../parts/rich.ts';
import { useChoice, useDerived, useRun } from '../../usePage.ts';
import { Learnt } from '../inspect/Learnt.tsx';
import { drawnPattern, fullConfig } from '../setup/settings.ts';
import { Equal } from './Equal.tsx';
import { Playground } from './Playground.tsx';
import { Steps, useLooking, useRecorded } from './Steps.tsx';
import { denseText, patternOf, refusal, type Setting, settingOf } from './setting.ts';
import { Wired } from './Wired.tsx';

/** Stands for a layer while no model is known. */
const SAMPLE: Layer = { name: '', kind: 'linear', in: 64, out: 64, hasBias: true };

/** The butterfly of the paper's figure 4: 8 inputs, pairs, three factors. */
const FIGURE: Setting = { method: 'boft', dimension: 8, block: 2, factors: 3, shared: false };

interface Base {
  readonly setting: Setting;
  readonly pattern: Pattern;
  /** It is what the page's settings give for this layer. */
  readonly isOwn: boolean;
}

/** The wiring to begin with: the layer's own, or one like it where the method does not rotate. */
function baseOf(method: MethodId, layer: Layer, config: CommonConfig): Base {
  const isLegal = METHODS[method].refuse(config) === null && METHODS[method].check(layer, config) === null;
  const pattern = isLegal ? drawnPattern(method, layer, config) : null;
  const own = pattern && settingOf(method, pattern);
  if (own) return { setting: own, pattern: pattern!, isOwn: true };
  const wishes = [
    [4, 2],
    [2, 2],
    [4, 1],
    [2, 1],
    [1, 1],
  ].map(
    ([block, factors]): Setting => ({
      method: 'boft',
      dimension: layer.in,
      block: block!,
      factors: factors!,
      shared: false,
    }),
  );
  const setting = wishes.find((wish) => refusal(wish) === null)!;
  return { setting, pattern: patternOf(setting), isOwn: false };
}

const same = (a: Setting, b: Setting | null): boolean => JSON.stringify(a) === JSON.stringify(b);

/** The module whose recorded steps belong to this wiring: the run trains it as it is drawn. */
function useTrained(base: Base, layer: Layer, isTurned: boolean): string | null {
  const run = useRun((s) => s.current?.settings ?? null);
  const model = useRun((s) => s.open?.model ?? null);
  return useMemo(() => {
    if (isTurned || !base.isOwn || run === null || model === null) return null;
    const pattern = drawnPattern(run.method, layer, fullConfig(run, model));
    return pattern && same(base.setting, settingOf(run.method, pattern)) ? layer.name : null;
  }, [base, layer, isTurned, run, model]);
}

/** @param props.layer the layer that is looked into; null where there is none */
export function Butterfly(props: { readonly layer: Layer | null }) {
  const layer = props.layer ?? SAMPLE;
  const settings = useChoice((s) => s.settings);
  const report = useChoice((s) => s.report);
  const { rows } = useDerived();
  const base = useMemo(
    () => baseOf(settings.method, layer, fullConfig(settings, report)),
    [settings, report, layer],
  );
  const dimensions = useMemo(() => [...new Set(rows.map((row) => row.layer.in))], [rows]);
  // What was turned counts as long as what it was turned from is the same.
  const [wish, setWish] = useState<{ readonly of: string; readonly setting: Setting } | null>(null);
  const key = JSON.stringify([layer.name, base.setting]);
  const turned = wish?.of === key && !same(wish.setting, base.setting) ? wish.setting : null;
  const setting = turned ?? base.setting;
  const wished = JSON.stringify(setting);
  // biome-ignore lint/correctness/useExhaustiveDependencies: the pictures change with what the setting says.
  const pattern = useMemo(() => (turned === null ? base.pattern : patternOf(turned)), [key, wished]);
  const host = useRef<HTMLDivElement>(null);
  const recorded = useRecorded(useTrained(base, layer, turned !== null));
  useLooking(host, turned === null && base.isOwn);
  const shown = recorded.shown?.value ?? null;
  const onChange = (next: Setting | null) => setWish(next === null ? null : { of: key, setting: next });
  return (
    <div
      ref={host}
      data-testid="butterfly"
      data-setting={`${setting.method} ${setting.dimension} ${setting.block} ${setting.factors}`}
    >
      <Playground
        setting={setting}
        base={turned === null ? null : base.setting}
        layer={layer.name === '' ? say`a layer of 64 inputs` : layer.name}
        dimensions={dimensions}
        onChange={onChange}
      />
      <Steps recorded={recorded} />
      <Wired
        pattern={pattern}
        isSquare={setting.method === 'boft'}
        inspection={shown}
        onFigure={() => onChange(FIGURE)}
      />
      {shown === null ? null : <Learnt inspection={shown} />}
      <Equal setting={setting} onChoose={onChange} />
      <p className="hint wired-note">{rich`${denseText(setting)} As in the paper (arXiv:2311.06243, figures 2 and 4): R = B${<sub>m−1</sub>} ⋯ B${<sub>0</sub>} turns the weights of every neuron, B${<sub>0</sub>} first. An edge from node c to node r is entry (r, c) of a factor. From left to right a neuron’s weights are turned; the numbers that enter the layer pass the same wires backwards.`}</p>
    </div>
  );
}
