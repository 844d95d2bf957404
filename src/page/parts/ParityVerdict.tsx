/** How a merged file was found, by word, sign and colour. */
import type { ParityReport } from '../../training/parity.ts';
import { Icon } from './Icon.tsx';

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
