/** The pictures of the page of OFT: five neurons of two inputs, each moved by itself, and all turned together. */
import { degreesOf, rng, say } from '../../../../common.ts';
import { energyOf } from '../../../../labs.ts';
import { degrees, degreesApart, real } from '../../../format.ts';
import { rich } from '../../../parts/rich.ts';
import { type Turned, useCayley } from '../../cayley/useCayley.ts';
import { useShown } from '../../useLab.ts';
import { Term } from '../Glossary.tsx';
import { changesOf, NeuronFigure } from '../NeuronFigure.tsx';
import { NEURONS, turnedBy } from '../neurons.ts';
import { Pending } from '../Pending.tsx';

/** The neurons with a change of its own for each. @param far 1 for moves about as long as half a neuron */
function movedApart(far: number): number[] {
  const random = rng(21, 22);
  return NEURONS.map((value) => value + far * 0.45 * random.normal());
}

export function ApartFigure({ far }: { readonly far: number }) {
  const after = movedApart(far);
  const { before, after: now, most } = changesOf(NEURONS, after, 2);
  useShown({ apart: degreesOf(most.by), energy: energyOf(now) });
  return (
    <NeuronFigure
      id="apart"
      title={say`Each neuron moved by itself`}
      before={NEURONS}
      after={after}
      sentence={say`The angle between neurons ${most.pair.i + 1} and ${most.pair.j + 1} was ${degrees(most.pair.angle)} and is ${degrees(most.now)} now, the largest change of a pair. The energy went from ${real(energyOf(before))} to ${real(energyOf(now))}.`}
      how={rich`How each number was got: angles and energy from the arrows’ coordinates, in ${<Term of="float64" />}; the moves are seeded random numbers.`}
    />
  );
}

export function TurnedFigure({ q: skew }: { readonly q: number }) {
  return (
    <Pending of={useCayley(2, [skew])}>
      {({ question, answer }) => <AllTurned {...question} {...answer} />}
    </Pending>
  );
}

function AllTurned({ skew, answer }: Turned) {
  const after = turnedBy(answer.exact.engine);
  const { before, after: now, most } = changesOf(NEURONS, after, 2);
  const angle = 2 * Math.atan(Math.abs(skew[0]!));
  useShown({ turned: degreesOf(angle) });
  return (
    <NeuronFigure
      id="turned"
      title={say`All neurons turned together`}
      before={NEURONS}
      after={after}
      sentence={rich`All five turned by ${degrees(angle)}. No angle between two of them changed by more than ${degreesApart(most.by)}, which is ${<Term of="rounding" />}; the energy was ${real(energyOf(before))} and is ${real(energyOf(now))}.`}
      how={rich`How each number was got: R by the Cayley ${<Term of="operator" />} that trains OFT, in 32 bits; angles and energy of the turned arrows in float64.`}
    />
  );
}
