/** The runs of labs, to be timed on this machine. */
import { say } from '../../common.ts';
import type { Work } from '../lessons/Machine.tsx';
import type { LabEntry } from './catalogue.ts';
import { usualValues, type Values } from './controls.ts';

/** @param values of the lab on screen; else each as it usually begins */
export const worksOf = (entries: readonly LabEntry[], values?: Values): Work[] =>
  entries.flatMap(({ id, title, controls, seconds, timed }) =>
    seconds === undefined
      ? []
      : [
          {
            id,
            title: timed === undefined ? title() : say`${title()} (${timed()})`,
            seconds: (engine) => seconds(values ?? usualValues(controls), engine),
          },
        ],
  );
