/** A picture of a lab: what it shows now in a sentence, and its numbers in a table. */
import { type ReactNode, useState } from 'react';
import { say } from '../../common.ts';
import { Icon } from '../parts/Icon.tsx';
import { Sentences } from '../parts/Sentences.tsx';

export interface Table {
  readonly head: readonly string[];
  readonly rows: readonly (readonly string[])[];
}

/** Figures whose numbers are open: another fit of the same figure does not shut them. */
const opened = new Set<string>();

export function LabFigure(props: {
  readonly id: string;
  readonly title: string;
  /** What the picture shows now. */
  readonly sentence: ReactNode;
  readonly table: Table;
  /** Rows that there are, where the table has the first of them. */
  readonly rowsInAll?: number;
  /** How the numbers were got. */
  readonly how: ReactNode;
  /** Where it is drawn while something runs: whether that is over. */
  readonly isDone?: boolean;
  readonly children: ReactNode;
}) {
  const { id, title, sentence, table, rowsInAll = 0, how, isDone, children } = props;
  const [isOpen] = useState(() => opened.has(id));
  return (
    <figure className="lab-figure" data-testid={id} data-done={isDone} aria-label={title}>
      <h3>{title}</h3>
      {children}
      <figcaption aria-live={isDone === false ? 'off' : 'polite'} data-testid={`${id}-says`}>
        {sentence}
      </figcaption>
      <details
        className="fold"
        open={isOpen}
        onToggle={({ currentTarget }) => void (currentTarget.open ? opened.add(id) : opened.delete(id))}
      >
        <summary>
          <Icon name="chevron" /> {say`The numbers`}
        </summary>
        <p className="hint">
          <Sentences>
            {how}
            {rowsInAll > table.rows.length
              ? say`The table has the first ${table.rows.length} of ${rowsInAll}.`
              : null}
          </Sentences>
        </p>
        {/* biome-ignore lint/a11y/noNoninteractiveTabindex: a long table scrolls, by keys too. */}
        {/* biome-ignore lint/a11y/useSemanticElements: a set of form fields it is not. */}
        <div className="lab-table" role="group" aria-label={say`The numbers`} tabIndex={0}>
          <table>
            <thead>
              <tr>
                {table.head.map((cell) => (
                  <th key={cell} scope="col">
                    {cell}
                  </th>
                ))}
              </tr>
            </thead>
            <tbody>
              {table.rows.map((row) => (
                <tr key={row.join(' ')}>
                  {row.map((cell, i) => (
                    // biome-ignore lint/suspicious/noArrayIndexKey: a cell is its column.
                    <td key={i}>{cell}</td>
                  ))}
                </tr>
              ))}
            </tbody>
          </table>
        </div>
      </details>
    </figure>
  );
}
