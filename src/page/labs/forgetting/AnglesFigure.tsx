/** Angles between the neurons of the weight, before and after: how many pairs have each. */

import { degreesOf, fixed, greatest, say } from '../../../common.ts';
import { FORGET_METHODS, type ForgetMethodId } from '../../../labs.ts';
import { degreesApart } from '../../format.ts';
import { rich } from '../../parts/rich.ts';
import { LabFigure } from '../LabFigure.tsx';
import { Plot } from '../Plot.tsx';
import { Term } from '../textbook/Glossary.tsx';
import { useShown } from '../useLab.ts';
import { type Forgetting, methodIndex, nameOf, STYLES, titleOf } from './runs.ts';

export function AnglesFigure(props: { readonly run: Forgetting; readonly method: ForgetMethodId }) {
  const { run, method } = props;
  const view = run.picked[0]!;
  const { angles, energy, turned } = view.methods[methodIndex(method)]!;
  const width = 180 / angles.before.length;
  useShown({ energy: energy.after / energy.before, angle: degreesOf(turned.most) });
  const points = (bins: readonly number[]) => bins.map((pairs, k) => [(k + 0.5) * width, pairs] as const);
  const most = greatest([...angles.before, ...angles.after]);
  const step = most > 100 ? 50 : 20;
  const high = Math.ceil((most + 1) / step) * step;
  const title = say`Angles between the neurons of network ${view.network + 1}`;
  return (
    <LabFigure
      id="angles"
      title={title}
      sentence={say`${titleOf(method)}: the hyperspherical energy is ${fixed(energy.after, 2)}, before it was ${fixed(energy.before, 2)}. The angle of a pair of neurons has changed by ${degreesApart(turned.most)} at most, by ${degreesApart(turned.mean)} on average.`}
      how={rich`How each number was got: from the weight before and after, which the engine has in 32 bits, in ${<Term of="float64" />}. Pairs are counted in bins of 5°. The energy is the sum of 1 over the distance of two neurons of length 1, over all pairs.`}
      table={{
        head: [say`Method`, say`Energy before`, say`Energy after`, say`Largest change`, say`Mean change`],
        rows: FORGET_METHODS.map((id, m) => {
          const one = view.methods[m]!;
          return [
            ...[titleOf(id), fixed(one.energy.before, 4), fixed(one.energy.after, 4)],
            ...[degreesApart(one.turned.most), degreesApart(one.turned.mean)],
          ];
        }),
      }}
    >
      <Plot
        label={title}
        x={{
          ...{ title: say`angle of a pair`, isLog: false, low: 0, high: 180 },
          ...{ ticks: [0, 45, 90, 135, 180], format: (value) => `${value}°` },
        }}
        y={{
          ...{ title: '', isLog: false, low: 0, high, format: String },
          ticks: Array.from({ length: high / step + 1 }, (_, k) => k * step),
        }}
        height={240}
        lines={[
          { id: 'before', name: say`before`, color: '--ink-3', points: points(angles.before) },
          {
            ...{ id: 'after', name: say`after ${nameOf(method)}`, color: STYLES[method].color },
            ...{ mark: 'circle', hasLine: false, points: points(angles.after) },
          },
        ]}
      />
    </LabFigure>
  );
}
