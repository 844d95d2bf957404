/** What is said in short: figures, warnings, and how a merged file was found. */
import type { ParityReport } from '../../training/parity.ts';
import { Icon } from './Icon.tsx';

/** A number with its name above it and, where there is room for one, a note below; part of a list of figures. */
export function Figure(props: {
  readonly name: string;
  readonly value: string | number;
  readonly note?: string;
  readonly isStrong?: boolean;
}) {
  const { name, value, note, isStrong = false } = props;
  return (
    <div className={isStrong ? 'figure is-strong' : 'figure'}>
      <dt>{name}</dt>
      <dd>{value}</dd>
      {note === undefined ? null : <dd className="figure-note">{note}</dd>}
    </div>
  );
}

export function Warnings({ of, role }: { readonly of: readonly string[]; readonly role?: 'alert' }) {
  return of.map((warning) => (
    <p key={warning} className="warning" role={role}>
      {warning}
    </p>
  ));
}

/** How a merged file was found, by word, sign and colour. */
export function ParityVerdict({ parity }: { readonly parity: Pick<ParityReport, 'verdict' | 'sentence'> }) {
  const isGood = parity.verdict === 'passed';
  return (
    <p
      className={`verdict ${isGood ? 'is-good' : 'is-bad'}`}
      role={isGood ? 'status' : 'alert'}
      data-testid="verdict"
    >
      <Icon name={isGood ? 'check' : 'cross'} />
      {parity.sentence}
    </p>
  );
}
