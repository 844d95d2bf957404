/** What is said in short: facts, figures, tables, notices, warnings, and how a merged file was found. */
import { Fragment, type ReactNode } from 'react';
import type { ParityReport } from '../../protocol.ts';
import { Icon } from './Icon.tsx';
import { Measured } from './Measured.tsx';
import type { MeasuredName } from './measured.ts';
import { useHeard } from './useHeard.ts';

/** Facts by name; those without a value are left out. */
export function Facts(props: {
  readonly of: Readonly<Record<string, ReactNode>>;
  readonly 'data-testid'?: string;
  readonly children?: ReactNode;
}) {
  return (
    <dl className="facts" data-testid={props['data-testid']}>
      {Object.entries(props.of).map(([name, value]) =>
        value === null ? null : (
          <Fragment key={name}>
            <dt>{name}</dt>
            <dd>{value}</dd>
          </Fragment>
        ),
      )}
      {props.children}
    </dl>
  );
}

/** A part of an area under its heading, with what stands beside that. */
export function Block(props: {
  readonly title: ReactNode;
  /** The name that is read out, where the heading is not that. */
  readonly label?: string;
  readonly beside?: ReactNode;
  readonly className?: string;
  readonly children: ReactNode;
}) {
  const { title, label, beside, className = '', children } = props;
  return (
    <section className={`block ${className}`.trim()} aria-label={label ?? String(title)}>
      {beside === undefined ? (
        <h3>{title}</h3>
      ) : (
        <div className="row block-head">
          <h3>{title}</h3>
          {beside}
        </div>
      )}
      {children}
    </section>
  );
}

/** What a table is sorted by, and what presses on its headings ask for. */
export interface Sorting {
  readonly by: string;
  readonly isDown: boolean;
  readonly onSort: (title: string) => void;
}

/** A table of rows that the first cell names: columns of words, columns of numbers, and one for buttons whose heading is only read out. */
export function Table(props: {
  readonly words: readonly string[];
  readonly numbers: readonly string[];
  readonly buttons?: string;
  readonly sorting?: Sorting;
  readonly children: ReactNode;
}) {
  const { words, numbers, buttons, sorting, children } = props;
  return (
    <div className="table-scroll">
      <table className="runs">
        <thead>
          <tr>
            {[...words, ...numbers].map((title, i) => (
              <Heading key={title} title={title} isNumber={i >= words.length} sorting={sorting} />
            ))}
            {buttons === undefined ? null : (
              <th scope="col">
                <span className="hidden">{buttons}</span>
              </th>
            )}
          </tr>
        </thead>
        <tbody>{children}</tbody>
      </table>
    </div>
  );
}

function Heading(props: {
  readonly title: string;
  readonly isNumber: boolean;
  readonly sorting: Sorting | undefined;
}) {
  const { title, isNumber, sorting } = props;
  const direction = sorting?.by !== title ? 'none' : sorting.isDown ? 'descending' : 'ascending';
  return (
    <th
      scope="col"
      className={isNumber ? 'number' : undefined}
      aria-sort={sorting === undefined ? undefined : direction}
    >
      {sorting === undefined ? (
        title
      ) : (
        <button type="button" className="sort" onClick={() => sorting.onSort(title)}>
          {title}
          <span aria-hidden="true">{{ none: '', ascending: ' ▲', descending: ' ▼' }[direction]}</span>
        </button>
      )}
    </th>
  );
}

/** A small table of texts: each row is named by its first. */
export function Lines(props: {
  readonly label?: string;
  readonly head: readonly string[];
  readonly rows: readonly (readonly [name: ReactNode, ...cells: string[]])[];
}) {
  const { label, head, rows } = props;
  return (
    <table className="beside" aria-label={label}>
      <thead>
        <tr>
          {head.map((title) =>
            title === '' ? (
              <td key={title} />
            ) : (
              <th key={title} scope="col">
                {title}
              </th>
            ),
          )}
        </tr>
      </thead>
      <tbody>
        {rows.map(([name, ...cells], i) => (
          // biome-ignore lint/suspicious/noArrayIndexKey: a row is its place.
          <tr key={i}>
            <th scope="row">{name}</th>
            {cells.map((cell, k) => (
              // biome-ignore lint/suspicious/noArrayIndexKey: a cell is its column.
              <td key={k}>{cell}</td>
            ))}
          </tr>
        ))}
      </tbody>
    </table>
  );
}

/** A number with its name above it and, where there is room for one, a note below; part of a list of figures. */
export function Figure(props: {
  readonly name: string;
  readonly value: string | number;
  readonly note?: string;
  readonly isStrong?: boolean;
  /** How it was got. */
  readonly how: MeasuredName;
}) {
  const { name, value, note, isStrong = false, how } = props;
  return (
    <div className={isStrong ? 'figure is-strong' : 'figure'}>
      <dt>
        <Measured of={how} about={name}>
          {name}
        </Measured>
      </dt>
      <dd>{value}</dd>
      {note === undefined ? null : <dd className="figure-note">{note}</dd>}
    </div>
  );
}

export function Warnings({ of, role }: { readonly of: readonly string[]; readonly role?: 'alert' }) {
  const now = useHeard();
  return of.map((warning) => (
    <p key={warning} className="warning" role={role}>
      {now(warning)}
    </p>
  ));
}

/** How a merged file was found, by word, sign and colour. */
export function ParityVerdict({ parity }: { readonly parity: Pick<ParityReport, 'verdict' | 'sentence'> }) {
  const now = useHeard();
  const isGood = parity.verdict === 'passed';
  return (
    <p
      className={`verdict ${isGood ? 'is-good' : 'is-bad'}`}
      role={isGood ? 'status' : 'alert'}
      data-testid="verdict"
    >
      <Icon name={isGood ? 'check' : 'cross'} />
      {now(parity.sentence)}
    </p>
  );
}
