/** target_modules as text, under PEFT's rule: a list matches name endings, one expression matches whole names. */
import { useEffect, useState } from 'react';
import { fullConfig } from '../../../app/settings.ts';
import { splitName } from '../../../app/targetEdit.ts';
import { closest } from '../../../lib/nearest.ts';
import { Tip } from '../../parts/Tip.tsx';
import { useChoice, useDerived, usePage } from '../../usePage.ts';

const asText = (value: string[] | string | null | undefined): string =>
  Array.isArray(value) ? value.join(', ') : (value ?? '');

const words = (text: string): string[] => text.split(/[\s,]+/).filter(Boolean);

export function TargetBox() {
  const page = usePage();
  const settings = useChoice((s) => s.settings);
  const report = useChoice((s) => s.report);
  const { selection, rows, problem } = useDerived();
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
  const endings = rows.flatMap(({ layer }) => {
    const parts = splitName(layer.name).ending.split('.');
    return parts.map((_, i) => parts.slice(i).join('.'));
  });
  return (
    <div className="target-box">
      <div className="field-head">
        <label className="field-label" htmlFor="target-box">
          target_modules
        </label>
        <Tip about="target modules">
          A list of names: a module matches if its name is an entry or ends with “.” and an entry. One regular
          expression: it must match the whole name. “all-linear” takes every linear layer but the head.
        </Tip>
        <label className="check field-default">
          <input
            type="checkbox"
            checked={isExpression}
            onChange={(event) =>
              set(
                event.target.checked
                  ? words(text)
                      .map((w) => `.*\\.${w.replaceAll('.', '\\.')}`)
                      .join('|')
                  : '',
                event.target.checked,
              )
            }
          />
          expression
        </label>
      </div>
      <textarea
        id="target-box"
        className="box mono"
        rows={2}
        spellCheck={false}
        value={text}
        aria-invalid={selection === null || selection.targets.length === 0}
        onChange={(event) => set(event.target.value, isExpression)}
      />
      <p className="entries" data-testid="target-entries">
        {selection?.entries.map(({ entry, count }) => {
          if (count > 0)
            return (
              <span key={entry} className="entry">
                <code>{entry}</code> {count}
              </span>
            );
          const near = isExpression ? undefined : closest(entry, new Set(endings), 1)[0];
          return (
            <span key={entry} className="entry is-missing">
              <code>{entry}</code> matches nothing
              {near === undefined ? null : (
                <button
                  type="button"
                  className="text-button"
                  onClick={() =>
                    set(
                      words(text)
                        .map((w) => (w === entry ? near : w))
                        .join(', '),
                      false,
                    )
                  }
                >
                  use {near}
                </button>
              )}
            </span>
          );
        })}
      </p>
      {problem === null ? null : (
        <p className="field-refusal" role="alert">
          {problem}
        </p>
      )}
    </div>
  );
}
