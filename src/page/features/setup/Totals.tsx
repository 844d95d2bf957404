/** What would train, always in sight: parameters stored and free, their share, and the bytes they take. */
import { bytes, percent, whole } from '../../../app/format.ts';
import { Tip } from '../../parts/Tip.tsx';
import { useDerived } from '../../usePage.ts';

export function Totals() {
  const { count, share, adapterBytes, optimizerBytes, problem } = useDerived();
  if (problem !== null && (count === null || count.stored === 0)) {
    return (
      <footer className="totals is-bad" aria-live="polite" data-testid="totals">
        {problem}
      </footer>
    );
  }
  return (
    <section className="totals" aria-label="Trainable parameters" data-testid="totals">
      {count === null ? (
        <span className="hint">The counts appear when the model’s modules are known.</span>
      ) : (
        <>
          <span className="total-main">
            <b>{whole(count.stored)}</b> trainable
            <Tip about="stored and free parameters">
              Stored: numbers kept in memory and in the adapter file. Free: numbers that can have an effect. A
              b × b block is stored whole, but only its skew part, b(b−1)/2 numbers, turns anything. Papers
              often count the free ones.
            </Tip>
          </span>
          <span>
            <b>{whole(count.free)}</b> free
          </span>
          <span>
            <b>{percent(share)}</b> of the model
          </span>
          <span>
            adapter <b>{bytes(adapterBytes)}</b>
          </span>
          <span>
            optimiser <b>{bytes(optimizerBytes)}</b>
          </span>
          {problem === null ? null : <span className="total-problem">{problem}</span>}
        </>
      )}
    </section>
  );
}
