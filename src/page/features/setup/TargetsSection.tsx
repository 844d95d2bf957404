/** Which modules are adapted: quick sets, PEFT's list or expression with live counts, and the tree of modules. */

import { fieldMeta } from '../../../adapters/fields.ts';
import { METHODS } from '../../../adapters/registry.ts';
import type { Layer } from '../../../adapters/types.ts';
import { controlOf } from '../../../app/controls.ts';
import { whole } from '../../../app/format.ts';
import { baseOf, configShape, fullConfig } from '../../../app/settings.ts';
import { inQuickSet, namesToList, type QuickSet } from '../../../app/targetEdit.ts';
import { useChoice, useDerived, usePage } from '../../usePage.ts';
import { Advanced, Field } from './Field.tsx';
import { Section } from './Section.tsx';
import { TargetBox } from './TargetBox.tsx';
import { TargetTree } from './TargetTree.tsx';

const QUICK: readonly { readonly set: QuickSet; readonly title: string }[] = [
  { set: 'attention', title: 'Attention' },
  { set: 'mlp', title: 'MLP' },
  { set: 'all-linear', title: 'All linear' },
  { set: 'none', title: 'None' },
];

export function TargetsSection() {
  const page = usePage();
  const settings = useChoice((s) => s.settings);
  const report = useChoice((s) => s.report);
  const derived = useDerived();
  const method = METHODS[settings.method];
  const config = fullConfig(settings, report) as unknown as Record<string, unknown>;
  const initial = fullConfig(baseOf(settings), report) as unknown as Record<string, unknown>;
  const layers = derived.rows.map(({ layer }) => layer);
  const selected = derived.selection?.targets.length ?? 0;
  const saved = derived.selection?.saved.length ?? 0;

  const setNames = (chosen: ReadonlySet<string>) => {
    page.setConfig('target_modules', namesToList(chosen, layers));
    if (config.layers_to_transform != null) page.setConfig('layers_to_transform', null);
  };
  const quick = (set: QuickSet) => {
    if (set === 'all-linear') return page.setConfig('target_modules', 'all-linear');
    return setNames(new Set(layers.filter((layer: Layer) => inQuickSet(set, layer)).map(({ name }) => name)));
  };
  const shape = configShape(settings.method);
  const others = Object.keys(shape).filter(
    (key) => fieldMeta(shape[key]!)?.group === 'targets' && key !== 'target_modules',
  );
  const hasTargets = method.targets !== 'none';
  const summary =
    derived.selection === null
      ? 'not known yet'
      : hasTargets
        ? `${whole(selected)} of ${whole(layers.length)} modules${saved > 0 ? `, ${saved} saved whole` : ''}`
        : `${saved} saved whole`;
  return (
    <Section name="targets" title="Targets" summary={summary}>
      {hasTargets ? (
        <>
          <fieldset className="quick" aria-label="Quick sets">
            {QUICK.map(({ set, title }) => (
              <button key={set} type="button" className="chip" onClick={() => quick(set)}>
                {title}
              </button>
            ))}
          </fieldset>
          <TargetBox />
        </>
      ) : (
        <p className="hint">{method.title} adapts no module; it trains the modules to save.</p>
      )}
      {derived.warnings.map((warning) => (
        <p key={warning} className="warning">
          {warning}
        </p>
      ))}
      <TargetTree derived={derived} isEditable={hasTargets} onChange={setNames} />
      <Advanced count={others.length}>
        {others.map((key) => {
          const meta = fieldMeta(shape[key]!)!;
          return (
            <Field
              key={key}
              id={`config-${key}`}
              title={meta.title}
              description={meta.description}
              control={controlOf(shape[key]!, meta.options)}
              value={config[key]}
              initial={initial[key]}
              onChange={(value) => page.setConfig(key, value)}
            />
          );
        })}
      </Advanced>
    </Section>
  );
}
