/** Figure 2 of the paper of BOFT: factors that join one pair of nodes each, their graph, and the product filling in. */

import { listOf, say } from '../../../../common.ts';
import { subscript } from '../../../format.ts';
import { rich } from '../../../parts/rich.ts';
import { Sentences } from '../../../parts/Sentences.tsx';
import { HeatMap } from '../../HeatMap.tsx';
import { LabFigure } from '../../LabFigure.tsx';
import { useShown } from '../../useLab.ts';
import { Term } from '../Glossary.tsx';
import { WireGraph } from '../WireGraph.tsx';
import { countOf, filledBy, nodesText, patternAt, productName, reachedFrom, type Wires } from '../wires.ts';

const NODES = 4;
/** Of the butterfly of as many nodes, as the paper counts them: two factors that join two pairs each. */
const BUTTERFLY_EDGES = 2 * 2 * 2;

/** Each node with itself, and the pair with each other. @param pairs "13" joins nodes 1 and 3 */
export const wiresOfPairs = (pairs: readonly string[]): Wires => ({
  size: NODES,
  factors: pairs.map((pair) => {
    const own = Array.from({ length: NODES }, (_, node) => [node, node] as const);
    if (pair === 'none') return own;
    const [i, j] = [Number(pair[0]) - 1, Number(pair[1]) - 1];
    return [...own, [i, j] as const, [j, i] as const];
  }),
});

export function TransmissionFigure({
  pairs,
  input,
}: {
  readonly pairs: readonly string[];
  readonly input: number;
}) {
  const wires = wiresOfPairs(pairs);
  const m = pairs.length;
  const edges = 2 * pairs.filter((pair) => pair !== 'none').length;
  const products = pairs.map((_, k) => filledBy(wires, k + 1));
  const filled = products.map(countOf);
  const dense = filled.indexOf(NODES * NODES) + 1;
  useShown({ dense: dense > 0 ? dense : null });
  const missing = Array.from({ length: NODES }, (_, from) => {
    const reached = reachedFrom(wires, from).at(-1)!;
    return Array.from(reached, (on, to) => (on === 1 ? null : `${from + 1} → ${to + 1}`)).filter(
      (way) => way !== null,
    );
  }).flat();
  return (
    <LabFigure
      id="transmission"
      title={say`Information through ${m} factors of ${NODES} nodes`}
      sentence={
        <Sentences>
          {dense > 0
            ? dense === m
              ? say`With factor ${dense - 1} every node reaches every other: ${productName(dense)} is dense, and with one factor fewer it is not.`
              : say`From factor ${dense - 1} on every node reaches every other: ${productName(dense)} is dense already.`
            : say`${productName(m)} is not dense: no way leads ${listOf(missing)}.`}
          {rich`The factors have ${edges} edges between different nodes; one ${<Term of="dense" />} matrix has ${NODES * (NODES - 1)}, the butterfly ${BUTTERFLY_EDGES}.`}
        </Sentences>
      }
      how={say`How each number was got: an entry of a product can differ from zero where a way leads from its column to its row; the ways are followed edge by edge.`}
      table={{
        head: [say`Product`, say`Entries that can differ from zero`, say`Nodes that node ${input} reaches`],
        rows: filled.map((count, k) => [
          productName(k + 1),
          say`${count} of ${NODES * NODES}`,
          nodesText(reachedFrom(wires, input - 1)[k + 1]!),
        ]),
      }}
    >
      <div className="lab-pictures">
        <WireGraph
          label={say`${m + 1} columns of ${NODES} nodes; lit is what input ${input} reaches.`}
          wires={wires}
          input={input - 1}
        />
      </div>
      <Strip label={say`The factors`} maps={pairs.map((_, k) => [`B${subscript(k)}`, patternAt(wires, k)])} />
      <Strip label={say`Their products`} maps={products.map((product, k) => [productName(k + 1), product])} />
    </LabFigure>
  );
}

function Strip(props: {
  readonly label: string;
  readonly maps: readonly (readonly [name: string, values: readonly number[]])[];
}) {
  return (
    <>
      <p className="hint lab-strip-name">{props.label}</p>
      <div className="lab-pictures lab-strip is-small">
        {props.maps.map(([name, values], k) => (
          // biome-ignore lint/suspicious/noArrayIndexKey: a factor is its number.
          <figure key={k}>
            <HeatMap label={name} size={NODES} values={values} full={1.6} />
            <figcaption>{name}</figcaption>
          </figure>
        ))}
      </div>
    </>
  );
}
