/** The singular values of what each method changed: in how many directions, and how strongly. */
import { say } from '../../../common.ts';
import { FORGET_METHODS, type ForgetMethodId } from '../../../labs.ts';
import { fixed, power, tenTo } from '../../format.ts';
import { rich } from '../../parts/rich.ts';
import { LabFigure } from '../LabFigure.tsx';
import { Plot } from '../Plot.tsx';
import { Term } from '../textbook/Glossary.tsx';
import { type Forgetting, methodIndex, rankOf, STYLES, titleOf } from './runs.ts';

const [LOW, HIGH] = [1e-8, 100];

export function SingularFigure(props: { readonly run: Forgetting; readonly method: ForgetMethodId }) {
  const { run, method } = props;
  const view = run.picked[0]!;
  const { singular } = view.methods[methodIndex(method)]!;
  const title = say`Singular values of the change, network ${view.network + 1}`;
  const hasChanged = singular[0]! > 0;
  return (
    <LabFigure
      id="singular"
      title={title}
      sentence={
        hasChanged
          ? say`${titleOf(method)} changes the weight in ${rankOf(singular)} of ${singular.length} directions; the largest singular value of ΔW is ${fixed(singular[0]!, 2)}.`
          : say`Nothing has changed yet.`
      }
      how={rich`How each number was got: the singular values of the weight after, minus the weight before, in float64. What is below a millionth of the largest is ${<Term of="rounding" />} of 32 bits and no direction.`}
      table={{
        head: [say`Place`, ...FORGET_METHODS.map(titleOf)],
        rows: singular.map((_, k) => [
          String(k + 1),
          ...view.methods.map((one) => (one.singular[k] === 0 ? '0' : power(one.singular[k]!))),
        ]),
      }}
    >
      <Plot
        label={title}
        x={{
          ...{ title: say`place`, isLog: false, low: 0, high: singular.length + 1 },
          ...{ ticks: [1, 8, 16, 24, 32], format: String },
        }}
        y={{
          ...{ title: '', isLog: true, low: LOW, high: HIGH, ticks: [1e-8, 1e-6, 1e-4, 1e-2, 1, 100] },
          format: tenTo,
        }}
        height={260}
        lines={FORGET_METHODS.map((id, m) => ({
          ...{ id, name: titleOf(id), ...STYLES[id] },
          points: view.methods[m]!.singular.map((value, k) => [k + 1, Math.max(value, LOW)] as const),
        }))}
      />
    </LabFigure>
  );
}
