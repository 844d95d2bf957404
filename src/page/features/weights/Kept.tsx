/** What a change leaves of a layer: the singular values of ΔW beside those of other runs, and how its neurons stand to each other. */
import { useEffect, useMemo } from 'react';
import { useStore } from 'zustand';
import { say } from '../../../common.ts';
import { degreesApart, methodTitle, percent, power, real, whole } from '../../format.ts';
import { Action } from '../../parts/Action.tsx';
import { Chart, type ChartSpec } from '../../parts/Chart.tsx';
import { Fold } from '../../parts/Controls.tsx';
import { ErrorText } from '../../parts/Errors.tsx';
import { Block, Facts, Figure, Lines, Table } from '../../parts/Facts.tsx';
import { Sentences } from '../../parts/Sentences.tsx';
import { OfStep, Waiting } from '../../parts/Waiting.tsx';
import { useRun } from '../../usePage.ts';
import { lineOf } from '../training/runs.ts';
import type { Looked, Weights } from './weights.ts';

const NONE = [] as const;
/** Below this share of the largest a value is what squaring leaves of nothing. */
const NOTHING = 1e-9;
const LINES = 6;

export function Kept({ weights, module }: { readonly weights: Weights; readonly module: string }) {
  const view = useStore(weights.looked);
  const run = useRun((s) => s.current?.id ?? null);
  const state = useRun((s) => s.state);
  const rows = useMemo(
    () => view.rows.filter((row) => row.module === module).slice(-LINES),
    [view.rows, module],
  );
  const own = rows.find((row) => row.run === run) ?? null;
  const isStill = state === 'paused' || state === 'finished';
  // biome-ignore lint/correctness/useExhaustiveDependencies: asked anew for another run as well.
  useEffect(() => {
    if (isStill) void weights.look(module);
  }, [weights, module, isStill, run]);
  return (
    <Block
      title={say`What the weight keeps`}
      beside={
        view.busy === null ? (
          <Action text={say`Look now`} onPress={() => void weights.look(module)} />
        ) : (
          <span className="hint">
            <Waiting what={say`Working it out`} onStop={() => void weights.stopLooking()} />
          </span>
        )
      }
    >
      {view.error === null ? null : <ErrorText report={view.error} />}
      {own === null ? (
        <p className="hint">
          {view.busy === null
            ? say`Looked at when the run pauses or ends, or now.`
            : say`Singular values and angles are on their way.`}
        </p>
      ) : (
        <>
          <OfStep step={own.step} />
          <Figures own={own} />
        </>
      )}
      {rows.length === 0 ? null : (
        <>
          <SingularValues rows={rows} run={run} />
          <ValueTable rows={rows} />
          <RunTable rows={rows} />
          <p className="hint">{say`The curve and row of every run of this page that was looked at on this layer: train LoRA, BOFT and FourierFT to have theirs beside each other.`}</p>
        </>
      )}
      {own === null ? null : <Angles own={own} />}
      <HowKept own={own} />
    </Block>
  );
}

const relative = ({ neurons: { energy } }: Looked): number => energy.after / energy.before - 1;

/** A change of a share: small ones in powers of ten, since a rotation's is rounding. */
const changeText = (share: number): string =>
  share === 0
    ? '0'
    : Math.abs(share) < 1e-3
      ? power(share)
      : `${share > 0 ? '+' : '−'}${percent(Math.abs(share))}`;

function Figures({ own }: { readonly own: Looked }) {
  const { singular, neurons, lora } = own;
  return (
    <dl className="figures figures-small" data-testid="kept-figures">
      <Figure
        name={say`Rank of ΔW`}
        how="rank"
        value={say`${whole(singular.rank)} of ${whole(singular.of)}`}
      />
      <Figure
        name={say`Energy`}
        how="energy"
        value={changeText(relative(own))}
        note={`${real(neurons.energy.before)} → ${real(neurons.energy.after)}`}
      />
      <Figure
        name={say`Angles moved`}
        how="angles-moved"
        value={`≤ ${degreesApart(neurons.turned.most, 2)}`}
        note={say`mean ${degreesApart(neurons.turned.mean, 2)}`}
      />
      {lora === null ? null : (
        <Figure
          name={say`Of rank ${lora.rank} at best`}
          how="best-rank"
          value={percent(lora.share)}
          note={say`of ‖ΔW‖²`}
        />
      )}
    </dl>
  );
}

const nameOf = ({ method, name }: Looked): string => `${methodTitle(method)}, ${name}`;

function SingularValues({ rows, run }: { readonly rows: readonly Looked[]; readonly run: number | null }) {
  const spec = useMemo(
    () => (): ChartSpec => ({
      lines: rows.map((row, i) => {
        const most = row.singular.values[0] ?? 0;
        const y = [...row.singular.values].filter((value) => value > NOTHING * most);
        return {
          name: nameOf(row),
          x: y.map((_, k) => k + 1),
          y,
          ...lineOf(i),
          width: row.run === run ? 2.5 : 1.5,
        };
      }),
      xTitle: say`singular values of ΔW, the largest first`,
      yTitle: '',
      names: { x: say`singular value number`, y: say`singular value of ΔW` },
      isLog: true,
    }),
    [rows, run],
  );
  return (
    <Chart
      spec={spec}
      sources={NONE}
      name={say`Singular values of the change`}
      label={say`Singular values of the change, figures in the table below`}
      height={220}
    />
  );
}

/** Places of the values that the table has: the first eight, then twice as far each time, and the last. */
export function placesOf(count: number): number[] {
  const places = Array.from({ length: Math.min(8, count) }, (_, k) => k);
  for (let k = 16; k < count; k *= 2) places.push(k - 1);
  return count > 8 ? [...places, count - 1] : places;
}

/** The chart in figures. */
function ValueTable({ rows }: { readonly rows: readonly Looked[] }) {
  const most = rows.reduce((count, { singular }) => Math.max(count, singular.values.length), 0);
  return (
    <Fold summary={say`The singular values as a table`}>
      <Lines
        label={say`Singular values of the change`}
        head={[say`place`, ...rows.map(nameOf)]}
        rows={placesOf(most).map((k) => [
          whole(k + 1),
          ...rows.map(({ singular: { values } }) => (values[k] === undefined ? '–' : real(values[k]))),
        ])}
      />
    </Fold>
  );
}

/** The same layer in every run of this page that was looked at. */
function RunTable({ rows }: { readonly rows: readonly Looked[] }) {
  return (
    <Table words={[say`Run`]} numbers={['‖ΔW‖', say`Rank`, say`Half in`, say`Energy`, say`Angles`]}>
      {rows.map((row) => (
        <tr key={row.run}>
          <th scope="row">
            {nameOf(row)}
            <span className="fine">, {say`step ${whole(row.step)}`}</span>
          </th>
          <td className="number">{real(row.singular.norm)}</td>
          <td className="number">{whole(row.singular.rank)}</td>
          <td className="number">{halfIn(row.singular)}</td>
          <td className="number">{changeText(relative(row))}</td>
          <td className="number">{degreesApart(row.neurons.turned.most, 2)}</td>
        </tr>
      ))}
    </Table>
  );
}

/** How many of the largest singular values have half of ‖ΔW‖². */
export function halfIn({ values, norm }: Pick<Looked['singular'], 'values' | 'norm'>): number {
  let sum = 0;
  for (const [i, value] of values.entries()) {
    sum += value * value;
    if (sum >= (norm * norm) / 2) return i + 1;
  }
  return values.length;
}

/** How many pairs of neurons stand at which angle, before and after. */
function Angles({ own }: { readonly own: Looked }) {
  const { before, after } = own.neurons.angles;
  const spec = useMemo(
    () => (): ChartSpec => {
      const width = 180 / before.length;
      const x = Array.from(before, (_, i) => (i + 0.5) * width);
      return {
        lines: [
          { name: 'before', x, y: [...before], color: '--line-0', width: 5, opacity: 0.35 },
          { name: 'after', x, y: [...after], color: '--line-1', width: 1.5, dash: 'dash' },
        ],
        xTitle: say`angle between two neurons, degrees`,
        yTitle: '',
        names: { x: say`angle between two neurons, degrees`, y: say`pairs` },
        isLog: false,
      };
    },
    [before, after],
  );
  const { count, of, pairs } = own.neurons;
  return (
    <>
      <Chart
        spec={spec}
        sources={NONE}
        name={say`Pairs of neurons by their angle, before and after`}
        height={180}
      />
      <p className="hint">
        <Sentences>
          {say`Pairs by angle: before, the broad line; after, dashed.`}
          {count < of
            ? say`${whole(pairs)} pairs of ${whole(count)} neurons: a sample drawn from ${whole(of)}.`
            : say`${whole(pairs)} pairs of ${whole(count)} neurons.`}
        </Sentences>
      </p>
      <Fold summary={say`The angles as a table`}>
        <Lines
          label={say`Pairs by angle`}
          head={[say`angle`, say`before`, say`after`]}
          rows={[...before.keys()]
            .filter((bin) => before[bin]! + after[bin]! > 0)
            .map((bin) => [
              say`${(bin * 180) / before.length}° to ${((bin + 1) * 180) / before.length}°`,
              whole(before[bin]!),
              whole(after[bin]!),
            ])}
        />
      </Fold>
    </>
  );
}

function HowKept({ own }: { readonly own: Looked | null }) {
  return (
    <Fold summary={say`How each number was got`}>
      <Facts
        of={{
          ΔW: say`read from the engine that trains: adapted less base weight, in 32 bits.`,
          [say`Singular values`]:
            own !== null && own.singular.values.length < own.singular.of
              ? say`computed in float64 from ΔW ΔWᵀ: the largest ${own.singular.values.length} of ${whole(own.singular.of)}, by a random sketch with two power steps; what is below 1e-8 of the largest is not resolved.`
              : say`computed in float64 from ΔW ΔWᵀ; what is below 1e-8 of the largest is not resolved.`,
          [say`Rank`]:
            own === null
              ? say`how many stand above what rounding the weight to 32 bits explains: half a unit in the last place of its largest number, times √rows + √columns.`
              : say`how many stand above what rounding the weight to 32 bits explains (${power(own.singular.floor)}): half a unit in the last place of its largest number, times √rows + √columns.`,
          [say`Half in`]: say`how many of the largest have half of ‖ΔW‖².`,
          [say`Energy`]: say`hyperspherical: the sum over pairs of neurons of 1 / ‖wᵢ − wⱼ‖, each a row of the weight made to length 1, as in the papers of OFT and BOFT; the change from before to after, in float64.`,
          [say`Angles`]: say`by how much the angle of any pair changed at most. A rotation of the inputs keeps every one; OFT’s short series (Neumann) is nearly a rotation only while the turns are small.`,
          [say`Of a rank at best`]: own?.lora
            ? say`the share of ‖ΔW‖² in that many of the largest singular values: no ΔW of that rank comes nearer (Eckart and Young). The rank is that of a LoRA that keeps about as many numbers on this layer as the run does (${whole(own.lora.parameters)}); how well such a LoRA would learn, it does not say.`
            : say`the share of ‖ΔW‖² in that many of the largest singular values: no ΔW of that rank comes nearer (Eckart and Young). The rank is that of a LoRA that keeps about as many numbers on this layer as the run does; how well such a LoRA would learn, it does not say.`,
        }}
      />
    </Fold>
  );
}
