/** A few neurons of two inputs before and after a change: the plane, and the angle of every pair. */

import type { ReactNode } from 'react';
import { say } from '../../../common.ts';
import { type Pair, pairsOf } from '../../../labs.ts';
import { degrees, degreesApart } from '../../format.ts';
import { LabFigure } from '../LabFigure.tsx';
import { NeuronPlane } from './NeuronPlane.tsx';

/** Pairs before and after, and by how much the angle of one changed at most. */
export function changesOf(before: readonly number[], after: readonly number[], inputs: number) {
  const count = before.length / inputs;
  const pairs = { before: pairsOf(before, count, inputs), after: pairsOf(after, count, inputs) };
  const most = pairs.before
    .map((pair, i) => ({
      pair,
      now: pairs.after[i]!.angle,
      by: Math.abs(pairs.after[i]!.angle - pair.angle),
    }))
    .reduce((a, b) => (b.by > a.by ? b : a));
  return { ...pairs, most };
}

/** Rows of a table: pair, before, after, change. */
const pairRows = (before: readonly Pair[], after: readonly Pair[]): string[][] =>
  before.map(({ i, j, angle }, k) => [
    `${i + 1}, ${j + 1}`,
    degrees(angle),
    degrees(after[k]!.angle),
    degreesApart(Math.abs(after[k]!.angle - angle)),
  ]);

const PAIR_HEAD = () => [say`Neurons`, say`Angle before`, say`Angle after`, say`Change`];

export function NeuronFigure(props: {
  readonly id: string;
  readonly title: string;
  readonly before: readonly number[];
  readonly after: readonly number[];
  readonly sentence: ReactNode;
  readonly how: ReactNode;
}) {
  const { id, title, before, after, sentence, how } = props;
  const pairs = changesOf(before, after, 2);
  return (
    <LabFigure
      {...{ id, title, sentence, how }}
      table={{ head: PAIR_HEAD(), rows: pairRows(pairs.before, pairs.after) }}
    >
      <div className="lab-pictures">
        <NeuronPlane
          label={say`Arrows for ${before.length / 2} neurons: pale before, coloured after; the angles are in the table.`}
          before={before}
          after={after}
        />
      </div>
    </LabFigure>
  );
}
