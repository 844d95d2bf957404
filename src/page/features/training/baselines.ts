/** Scores that a curve is held against: the model's before training, and the last of the head alone, where a run of it has ended on the same. */
import { say } from '../../../common.ts';
import { methodTitle } from '../../format.ts';
import { latestLike } from '../runs/rows.ts';
import type { RunRecord } from './runs.ts';

export interface Baseline {
  readonly name: string;
  readonly value: number;
}

export function baselinesOf(current: RunRecord | null, runs: readonly RunRecord[]): Baseline[] {
  const first = current?.series.evals[0];
  if (current === null || first === undefined || first.step !== 0) return [];
  const known = runs.find(({ key }) => key === current.key)?.outcome ?? current.outcome;
  const isHead = ({ key, settings }: RunRecord) => key !== current.key && settings.method === 'head';
  const head = known && latestLike(known.figures, runs, isHead)?.figures.last;
  return [
    { name: say`before training`, value: first.value },
    ...(head == null ? [] : [{ name: methodTitle('head'), value: head.value }]),
  ];
}
