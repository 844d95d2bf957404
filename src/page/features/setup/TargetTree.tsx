/** The modules by block, with boxes for all, some or none, their shapes and counts, and the reason where a method cannot go. */
import { useEffect, useRef } from 'react';
import type { Derived, LayerRow } from '../../../app/derive.ts';
import { whole } from '../../../app/format.ts';
import { groupLayers, splitName } from '../../../app/targetEdit.ts';
import { Icon } from '../../parts/Icon.tsx';

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
    <ul className="tree" aria-label="Modules">
      {groups.map(({ path, names }, i) => {
        const legal = names.filter((name) => rows.get(name)!.reason === null && !rows.get(name)!.isSaved);
        const on = legal.filter((name) => chosen.has(name)).length;
        return (
          <li key={path}>
            <details className="tree-group" open={i < 2}>
              <summary>
                <Icon name="chevron" />
                <TriBox
                  label={`All of ${path || 'the modules outside blocks'}`}
                  state={on === 0 ? 'none' : on === legal.length ? 'all' : 'some'}
                  isDisabled={!isEditable || legal.length === 0}
                  onChange={(isOn) => set(legal, isOn)}
                />
                <code>{path || 'outside the blocks'}</code>
                <span className="tree-count">
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
  );
}

function Row(props: {
  readonly row: LayerRow;
  readonly isEditable: boolean;
  readonly onChange: (isOn: boolean) => void;
}) {
  const { row, isEditable, onChange } = props;
  const { layer, reason, isTarget, isSaved, count } = row;
  const isOff = reason !== null || isSaved || !isEditable;
  const note = isSaved ? 'saved whole: trained in full beside the adapter' : isEditable ? reason : null;
  return (
    <li className={`tree-row ${isOff && !isTarget ? 'is-off' : ''}`} title={layer.name}>
      <label>
        <input
          type="checkbox"
          checked={isTarget}
          disabled={isOff && !isTarget}
          onChange={(event) => onChange(event.target.checked)}
        />
        <code className="tree-name">
          <bdi dir="ltr">{splitName(layer.name).ending}</bdi>
        </code>
        <span className="tree-shape">
          {layer.in} → {layer.out}
        </span>
        <span
          className="tree-number"
          title={count === null ? undefined : `${whole(count.stored)} stored, ${whole(count.free)} free`}
        >
          {count === null || isSaved ? '' : whole(count.stored)}
        </span>
      </label>
      {note === null ? null : <span className={`tree-reason ${isTarget ? 'is-bad' : ''}`}>{note}</span>}
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
      onClick={(event) => event.stopPropagation()}
      onChange={() => onChange(state !== 'all')}
    />
  );
}
