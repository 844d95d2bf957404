/** A text whose tokens wear how differently both models hold them likely; what the colours mean, the figures of one token, and all of them as a table. */
import { say } from '../../../common.ts';
import type { TextBeforeAfter } from '../../../protocol.ts';
import { percent, power, visibleToken } from '../../format.ts';
import { Fold } from '../../parts/Controls.tsx';
import { Table } from '../../parts/Facts.tsx';
import { useHeld } from '../../parts/held.tsx';
import { Measured } from '../../parts/Measured.tsx';
import { rich } from '../../parts/rich.ts';
import { Sentences } from '../../parts/Sentences.tsx';
import { type Pointed, STEP_WORDS, STEPS, stepOf, tokenAt } from './odds.ts';

/** A probability: a share, or in powers of ten where that would read as nothing. */
const shown = (p: number): string => (p >= 1e-4 || p === 0 ? percent(p) : power(p));

export function TextOdds({ comparison }: { readonly comparison: TextBeforeAfter }) {
  const [pointed, setPointed] = useHeld<Pointed | null>('token', () => null);
  const { prompt, odds } = comparison;
  const chosen = tokenAt(odds, pointed);
  const sides = [
    { id: 'before', title: say`before`, tokens: odds.before },
    { id: 'after', title: say`after`, tokens: odds.after },
  ] as const;
  return (
    <>
      <div className="texts" data-testid="texts">
        {sides.map(({ id, title, tokens }) => (
          <section key={id} className="text-side" aria-label={title}>
            <h3>{title}</h3>
            <p className="text-body" translate="no">
              <b>{prompt}</b>
              {tokens.map((token, i) => (
                <span
                  // biome-ignore lint/suspicious/noArrayIndexKey: a token is its place.
                  key={i}
                  className={`odds odds-${stepOf(token)}`}
                  onPointerEnter={() => setPointed({ side: id, index: i })}
                  onPointerDown={() => setPointed({ side: id, index: i })}
                >
                  {token.text}
                </span>
              ))}
            </p>
          </section>
        ))}
      </div>
      <Legend />
      <p className="hint odds-figures" data-testid="odds">
        <Sentences>
          {chosen === null
            ? say`Point at a word: its probability in both models is written here.`
            : rich`“${<b translate="no">{visibleToken(chosen.text)}</b>}”: ${shown(chosen.before)} before, ${shown(chosen.after)} after.`}
          <Measured of="odds" about={say`the probability of a token`} />
        </Sentences>
      </p>
      <Fold summary={say`The tokens as a table`}>
        <div className="texts">
          {sides.map(({ id, title, tokens }) => (
            <Table key={id} words={[title]} numbers={[say`Before`, say`After`]}>
              {tokens.map((token, i) => (
                // biome-ignore lint/suspicious/noArrayIndexKey: a token is its place.
                <tr key={i}>
                  <th scope="row" translate="no">
                    {visibleToken(token.text)}
                  </th>
                  <td className="number">{shown(token.before)}</td>
                  <td className="number">{shown(token.after)}</td>
                </tr>
              ))}
            </Table>
          ))}
        </div>
      </Fold>
    </>
  );
}

function Legend() {
  const words = STEP_WORDS();
  return (
    <ul className="row odds-legend small" aria-label={say`What the colours and lines mean`}>
      {STEPS.map((step) => (
        <li key={step}>
          <span className={`odds odds-${step}`} aria-hidden="true">
            {say`word`}
          </span>{' '}
          {words[step]}
        </li>
      ))}
    </ul>
  );
}
