/** What one network says of every place of the plane, before and after, with the points that it learnt from. */
import { say } from '../../../common.ts';
import {
  FORGET_METHODS,
  type ForgetFacts,
  type ForgetMethodId,
  type PlainPoints,
  REACH,
  SQUARES,
} from '../../../labs.ts';
import { percent } from '../../format.ts';
import { HeatMap } from '../HeatMap.tsx';
import { LabFigure } from '../LabFigure.tsx';
import { type Forgetting, methodIndex, nameOf, titleOf } from './runs.ts';

const SIDE = 264;

const placeOf = (value: number): number => ((value + REACH) / (2 * REACH)) * SIDE;

/** Points of one class as one path: circles of the old task, squares of the new one. */
function pathOf({ places, classes }: PlainPoints, one: number, isOld: boolean): string {
  const size = 2.6;
  return classes
    .map((found, i) => {
      if (found !== one) return '';
      const [x, y] = [placeOf(places[2 * i]!).toFixed(1), placeOf(-places[2 * i + 1]!).toFixed(1)];
      return isOld
        ? `M${x} ${y}m${-size} 0a${size} ${size} 0 1 0 ${2 * size} 0a${size} ${size} 0 1 0 ${-2 * size} 0z`
        : `M${x} ${y}m${-size} ${-size}h${2 * size}v${2 * size}h${-2 * size}z`;
    })
    .join('');
}

function Points({ facts }: { readonly facts: ForgetFacts }) {
  return (
    <g className="lab-points">
      {[0, 1].map((one) => (
        <g key={one} fill={one === 0 ? 'var(--map-low)' : 'var(--map-high)'}>
          <path d={pathOf(facts.old, one, true)} />
          <path d={pathOf(facts.next, one, false)} />
        </g>
      ))}
    </g>
  );
}

export function PlaneFigure(props: { readonly run: Forgetting; readonly method: ForgetMethodId }) {
  const { run, method } = props;
  const view = run.picked[0]!;
  const { course } = run.answer;
  const [first, last] = [course[0]!, course.at(-1)!];
  const share = (m: number, which: 'kept' | 'learnt', point = last) =>
    percent(point[which][m]![view.network]!);
  const at = methodIndex(method);
  const title = say`The plane, as network ${view.network + 1} sees it`;
  const pictures = [
    { name: say`before`, values: view.plane },
    { name: say`after ${nameOf(method)}`, values: view.methods[at]!.plane },
  ];
  return (
    <LabFigure
      id="plane"
      title={title}
      sentence={say`Before, this network tells ${share(at, 'kept', first)} of the old task right and ${share(at, 'learnt', first)} of the new one; after ${nameOf(method)}, ${share(at, 'kept')} and ${share(at, 'learnt')}.`}
      how={say`How each number was got: the scores of the network at the middle of each square, by the engine in 32 bits. Circles are points of the old task, squares of the new one, in the colour of their class; a place has the colour of the class that the network finds more likely, stronger the surer it is.`}
      table={{
        head: [say`Method`, say`New task`, say`Old task`],
        rows: [
          [say`before`, share(at, 'learnt', first), share(at, 'kept', first)],
          ...FORGET_METHODS.map((id, m) => [titleOf(id), share(m, 'learnt'), share(m, 'kept')]),
        ],
      }}
    >
      <div className="lab-pictures">
        {pictures.map(({ name, values }) => (
          <figure key={name}>
            <HeatMap label={name} size={SQUARES} values={values} full={1.6} side={SIDE}>
              <Points facts={run.facts} />
            </HeatMap>
            <figcaption>{name}</figcaption>
          </figure>
        ))}
      </div>
    </LabFigure>
  );
}
