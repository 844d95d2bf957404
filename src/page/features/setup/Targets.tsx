/** Which modules are adapted: quick sets, PEFT's list or expression with live counts, and the tree of modules. */
import { useEffect, useId, useRef, useState } from 'react';
import { closest, say } from '../../../common.ts';
import { fieldMeta, type Layer, METHODS, type MethodId } from '../../../methods.ts';
import { methodTitle, whole } from '../../format.ts';
import { Check } from '../../parts/Controls.tsx';
import { Warnings } from '../../parts/Facts.tsx';
import { Icon } from '../../parts/Icon.tsx';
import { Locked } from '../../parts/Locked.tsx';
import { rich } from '../../parts/rich.ts';
import { Tip } from '../../parts/Tip.tsx';
import { useChoice, useDerived, useHold, useIsShown, usePage } from '../../usePage.ts';
import type { Derived, LayerRow } from './derive.ts';
import { Advanced, Field, words } from './Field.tsx';
import { Section } from './Section.tsx';
import { baseOf, configShape, fullConfig } from './settings.ts';
import { groupLayers, inQuickSet, namesToList, type QuickSet, splitName } from './targetEdit.ts';

const QUICK = (): readonly { readonly set: QuickSet; readonly title: string }[] => [
  { set: 'attention', title: say`Attention` },
  { set: 'mlp', title: 'MLP' },
  { set: 'all-linear', title: say`All linear` },
  { set: 'none', title: say`None` },
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
  const isShown = useIsShown('c');
  const others = Object.keys(shape).filter(
    (key) => fieldMeta(shape[key]!)?.group === 'targets' && key !== 'target_modules' && isShown(key),
  );
  const hasTargets = method.targets !== 'none';
  const hold = useHold('c.target_modules');
  if (hold === 'hidden') return null;
  const isEditable = hasTargets && hold === null;
  const summary =
    derived.selection === null
      ? say`not known yet`
      : hasTargets
        ? saved > 0
          ? say`${whole(selected)} of ${whole(layers.length)} modules, ${saved} saved whole`
          : say`${whole(selected)} of ${whole(layers.length)} modules`
        : say`${saved} saved whole`;
  return (
    <Section name="targets" title={say`Targets`} summary={summary}>
      {hasTargets ? (
        <>
          {isEditable ? (
            <fieldset className="row quick" aria-label={say`Quick sets`}>
              {QUICK().map(({ set, title }) => (
                <button key={set} type="button" className="chip" onClick={() => quick(set)}>
                  {title}
                </button>
              ))}
            </fieldset>
          ) : null}
          <TargetBox isLocked={!isEditable} />
        </>
      ) : (
        <p className="hint">{say`${methodTitle(method.id as MethodId)} adapts no module; it trains the modules to save.`}</p>
      )}
      <Warnings of={derived.warnings} />
      <TargetTree derived={derived} isEditable={isEditable} onChange={setNames} />
      <Advanced>
        {others.map((key) => (
          <Field
            key={key}
            id={`config-${key}`}
            schema={shape[key]!}
            value={config[key]}
            initial={initial[key]}
            onChange={(value) => page.setConfig(key, value)}
          />
        ))}
      </Advanced>
    </Section>
  );
}

const asText = (value: string[] | string | null | undefined): string =>
  Array.isArray(value) ? value.join(', ') : (value ?? '');

/** A list of names as one expression that matches what they match. */
const asExpression = (names: readonly string[]): string =>
  names.map((name) => `.*\\.${name.replaceAll('.', '\\.')}`).join('|');

/** target_modules as text, under PEFT's rule: a list matches name endings, one expression matches whole names. */
function TargetBox({ isLocked }: { readonly isLocked: boolean }) {
  const why = useId();
  const page = usePage();
  const settings = useChoice((s) => s.settings);
  const report = useChoice((s) => s.report);
  const { selection, problem } = useDerived();
  const given = fullConfig(settings, report).target_modules ?? null;
  const isExpression = typeof given === 'string';
  const [text, setText] = useState(asText(given));
  const outside = JSON.stringify(given);
  useEffect(() => {
    const value = JSON.parse(outside) as string[] | string | null;
    setText((old) => (Array.isArray(value) && JSON.stringify(words(old)) === outside ? old : asText(value)));
  }, [outside]);

  const set = (next: string, expression: boolean) => {
    setText(next);
    page.setConfig('target_modules', expression ? next : words(next));
  };
  const replace = (entry: string, by: string) =>
    set(
      words(text)
        .map((word) => (word === entry ? by : word))
        .join(', '),
      false,
    );
  return (
    <div className="target-box">
      <div className="field-head">
        <label className="field-label" htmlFor="target-box">
          target_modules
        </label>
        <Tip
          about={say`target modules`}
        >{say`A list of names: a module matches if its name is an entry or ends with “.” and an entry. One regular expression: it must match the whole name. “all-linear” takes every linear layer but the head.`}</Tip>
        <Check
          className="check field-default fine"
          isOn={isExpression}
          isDisabled={isLocked}
          onChange={(isOn) => set(isOn ? asExpression(words(text)) : '', isOn)}
        >{say`expression`}</Check>
      </div>
      <textarea
        id="target-box"
        className="box mono"
        rows={2}
        spellCheck={false}
        value={text}
        {...(isLocked ? { readOnly: true, 'aria-describedby': why } : {})}
        aria-invalid={selection === null || selection.targets.length === 0}
        onChange={(event) => set(event.target.value, isExpression)}
      />
      {isLocked ? <Locked id={why} /> : null}
      <Entries canSuggest={!isExpression && !isLocked} onReplace={replace} />
      {problem === null ? null : (
        <p className="field-refusal" role="alert">
          {problem}
        </p>
      )}
    </div>
  );
}

/** What each entry matches; beside one that matches nothing, the name that is nearest. */
function Entries(props: {
  readonly canSuggest: boolean;
  readonly onReplace: (entry: string, by: string) => void;
}) {
  const { canSuggest, onReplace } = props;
  const { selection, rows } = useDerived();
  const endings = rows.flatMap(({ layer }) => {
    const parts = splitName(layer.name).ending.split('.');
    return parts.map((_, i) => parts.slice(i).join('.'));
  });
  return (
    <p className="entries" data-testid="target-entries">
      {selection?.entries.map(({ entry, count }) => {
        if (count > 0)
          return (
            <span key={entry} className="entry">
              <code className="clip">{entry}</code> {count}
            </span>
          );
        const near = canSuggest ? closest(entry, new Set(endings), 1)[0] : undefined;
        return (
          <span key={entry} className="entry is-missing">
            {rich`${<code className="clip">{entry}</code>} matches nothing`}
            {near === undefined ? null : (
              <button type="button" className="text-button" onClick={() => onReplace(entry, near)}>
                {say`use ${near}`}
              </button>
            )}
          </span>
        );
      })}
    </p>
  );
}

/** The modules by block, with boxes for all, some or none, their shapes and counts, and the reason where a method cannot go. */
export function TargetTree(props: {
  readonly derived: Derived;
  readonly isEditable: boolean;
  readonly onChange: (chosen: ReadonlySet<string>) => void;
}) {
  const { derived, isEditable, onChange } = props;
  const rows = new Map(derived.rows.map((row) => [row.layer.name, row]));
  const chosen = new Set(derived.rows.filter((row) => row.isTarget).map((row) => row.layer.name));
  const set = (names: readonly string[], isOn: boolean) => {
    const next = new Set(chosen);
    for (const name of names) {
      if (isOn) next.add(name);
      else next.delete(name);
    }
    onChange(next);
  };
  const groups = groupLayers(derived.rows.map(({ layer }) => layer));
  return (
    <>
      <p className="hint">{say`Of each module: its inputs → outputs, and the numbers of its adapter, stored / free.`}</p>
      <ul className="tree" aria-label={say`Modules`}>
        {groups.map(({ path, names }, i) => {
          const legal = names.filter((name) => rows.get(name)!.reason === null && !rows.get(name)!.isSaved);
          const on = legal.filter((name) => chosen.has(name)).length;
          return (
            <li key={path} className="tree-branch">
              {/* Beside the line that folds, not in it: what can be pressed holds nothing else to press. */}
              <TriBox
                label={say`All of ${path || say`the modules outside blocks`}`}
                state={on === 0 ? 'none' : on === legal.length ? 'all' : 'some'}
                isDisabled={!isEditable || legal.length === 0}
                onChange={(isOn) => set(legal, isOn)}
              />
              <details className="fold tree-group" open={i < 2}>
                <summary>
                  <Icon name="chevron" />
                  <code className="clip">{path || say`outside the blocks`}</code>
                  <span className="tree-count hint tabular">
                    {on}/{names.length}
                  </span>
                </summary>
                <ul>
                  {names.map((name) => (
                    <Row
                      key={name}
                      row={rows.get(name)!}
                      isEditable={isEditable}
                      onChange={(isOn) => set([name], isOn)}
                    />
                  ))}
                </ul>
              </details>
            </li>
          );
        })}
      </ul>
    </>
  );
}

/** Where both are the same number, it once. */
const countText = ({ stored, free }: NonNullable<LayerRow['count']>): string =>
  stored === free ? whole(stored) : `${whole(stored)} / ${whole(free)}`;

function Row(props: {
  readonly row: LayerRow;
  readonly isEditable: boolean;
  readonly onChange: (isOn: boolean) => void;
}) {
  const { row, isEditable, onChange } = props;
  const { layer, reason, isTarget, isSaved, count } = row;
  const isOff = reason !== null || isSaved || !isEditable;
  const note = isSaved ? say`saved whole: trained in full beside the adapter` : isEditable ? reason : null;
  return (
    <li className={`tree-row ${isOff && !isTarget ? 'is-off' : ''}`} title={layer.name}>
      <label>
        <input
          type="checkbox"
          checked={isTarget}
          disabled={isOff && !isTarget}
          onChange={(event) => onChange(event.target.checked)}
        />
        <code className="tree-name clip">
          <bdi dir="ltr">{splitName(layer.name).ending}</bdi>
        </code>
        <span className="small tabular">
          {layer.in} → {layer.out}
        </span>
        <span
          className="tree-number small tabular"
          title={count === null ? undefined : say`${whole(count.stored)} stored, ${whole(count.free)} free`}
        >
          {count === null || isSaved ? '' : countText(count)}
        </span>
      </label>
      {note === null ? null : <span className={`tree-reason fine ${isTarget ? 'is-bad' : ''}`}>{note}</span>}
    </li>
  );
}

function TriBox(props: {
  readonly label: string;
  readonly state: 'all' | 'some' | 'none';
  readonly isDisabled: boolean;
  readonly onChange: (isOn: boolean) => void;
}) {
  const { label, state, isDisabled, onChange } = props;
  const box = useRef<HTMLInputElement>(null);
  useEffect(() => {
    if (box.current) box.current.indeterminate = state === 'some';
  }, [state]);
  return (
    <input
      ref={box}
      type="checkbox"
      aria-label={label}
      checked={state === 'all'}
      disabled={isDisabled}
      onChange={() => onChange(state !== 'all')}
    />
  );
}
