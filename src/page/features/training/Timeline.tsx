/** One step as a line of bars, a kernel each, in the order in which they run; pointed at or walked over by arrow keys, each says what it is. */
import { type KeyboardEvent, type PointerEvent, useMemo, useRef, useState } from 'react';
import { say } from '../../../common.ts';
import { brief, percent, whole } from '../../format.ts';
import { Fold, Segments } from '../../parts/Controls.tsx';
import { Block, Lines } from '../../parts/Facts.tsx';
import { Measured } from '../../parts/Measured.tsx';
import { SaveMenu } from '../../parts/SaveMenu.tsx';
import { tableItem } from '../../parts/saveItems.ts';
import {
  type Bar,
  barAt,
  barsOf,
  type GroupBy,
  lengthOf,
  stretchesOf,
  timelineTable,
  totalsOf,
} from './timeline.ts';

const NAME = () => say`Kernels of one step`;
/** Groups with a colour of their own; the rest are grey. */
const COLORED = 6;
/** Rows on screen; the file has all. */
const MOST_ROWS = 400;

const seconds = (microseconds: number): string => brief(microseconds / 1e6);

export function Timeline(props: {
  readonly parts: Parameters<typeof barsOf>[0];
  readonly secondsPerStep: number;
}) {
  const { parts, secondsPerStep } = props;
  const bars = useMemo(() => barsOf(parts), [parts]);
  const [by, setBy] = useState<GroupBy>('op');
  const all = lengthOf(bars);
  const totals = useMemo(() => totalsOf(bars, by), [bars, by]);
  return (
    <Block
      title={NAME()}
      beside={<SaveMenu of={NAME()} items={[tableItem(NAME(), () => timelineTable(bars))]} />}
    >
      <Segments
        label={say`Grouped by`}
        value={by}
        items={[
          { id: 'op', title: say`by op` },
          { id: 'layer', title: say`by layer` },
        ]}
        onChange={setBy}
      />
      <Strip bars={bars} by={by} names={totals.map(({ name }) => name)} />
      <ul className="row small timeline-legend">
        {totals.slice(0, COLORED).map(({ name, microseconds }, i) => (
          <li key={name}>
            <i className="swatch" style={{ background: `var(--line-${i})` }} /> {name}{' '}
            {percent(microseconds / all)}
          </li>
        ))}
        {totals.length > COLORED ? (
          <li>
            <i className="swatch" style={{ background: 'var(--ink-3)' }} />{' '}
            {say`${totals.length - COLORED} more`}
          </li>
        ) : null}
      </ul>
      <p className="hint">
        {say`${whole(bars.length)} kernels, ${seconds(all)} in all; the step itself took ${brief(secondsPerStep)}.`}
        <Measured of="timeline" about={NAME()} />
      </p>
      <Fold summary={by === 'op' ? say`The sums by op as a table` : say`The sums by layer as a table`}>
        <Lines
          label={by === 'op' ? say`Time by op` : say`Time by layer`}
          head={[by === 'op' ? say`op` : say`layer`, say`kernels`, say`time`, say`of the kernels`]}
          rows={totals.map(({ name, count, microseconds }) => [
            name,
            whole(count),
            seconds(microseconds),
            percent(microseconds / all),
          ])}
        />
      </Fold>
      <Fold summary={say`Every kernel as a table`}>
        {bars.length > MOST_ROWS ? (
          <p className="hint">{say`The first ${MOST_ROWS} of ${whole(bars.length)}; the CSV has them all.`}</p>
        ) : null}
        <div className="table-scroll">
          <Lines
            label={say`Every kernel of the step`}
            head={[say`place`, say`op`, say`module`, say`kernel`, say`time`]}
            rows={bars
              .slice(0, MOST_ROWS)
              .map(({ op, module, kernel, microseconds }, i) => [
                whole(i + 1),
                op,
                module ?? '–',
                kernel,
                seconds(microseconds),
              ])}
          />
        </div>
      </Fold>
    </Block>
  );
}

const LAYERS_HEIGHT = 10;
const HEIGHT = 52;

interface Drawn {
  readonly bars: readonly Bar[];
  readonly by: GroupBy;
  /** Of the groups, the dearest first. */
  readonly names: readonly string[];
}

/** Above the layers in two tones, below every kernel in the colour of its group. */
function Bars({ bars, by, names }: Drawn) {
  const all = lengthOf(bars);
  const stretches = useMemo(() => stretchesOf(bars), [bars]);
  const colorOf = (bar: Bar): string => {
    const place = names.indexOf(bar[by]);
    return place < COLORED ? `var(--line-${place})` : 'var(--ink-3)';
  };
  return (
    <svg viewBox={`0 0 ${all} ${HEIGHT}`} preserveAspectRatio="none" aria-hidden="true">
      {stretches.map(({ from, microseconds }, i) => (
        <rect
          key={from}
          x={from}
          width={microseconds}
          height={LAYERS_HEIGHT}
          fill={`var(--map-tone-${i % 2 === 0 ? 'a' : 'b'})`}
        />
      ))}
      {bars.map((bar) => (
        <rect
          key={bar.from}
          x={bar.from}
          y={LAYERS_HEIGHT + 2}
          width={bar.microseconds}
          height={HEIGHT - LAYERS_HEIGHT - 2}
          fill={colorOf(bar)}
        />
      ))}
    </svg>
  );
}

/** The bars, and what is said of the one that is pointed at. */
function Strip({ bars, by, names }: Drawn) {
  const [at, setAt] = useState<number | null>(null);
  const last = useRef(0);
  const all = lengthOf(bars);
  const tell = (index: number | null) => {
    if (index !== null) last.current = index;
    setAt(index);
  };
  const point = (event: PointerEvent) => {
    const box = event.currentTarget.getBoundingClientRect();
    tell(barAt(bars, ((event.clientX - box.left) / box.width) * all));
  };
  const move = (event: KeyboardEvent) => {
    const step = { ArrowLeft: -1, ArrowRight: 1, ArrowUp: -10, ArrowDown: 10 }[event.key];
    const end = { Home: 0, End: bars.length - 1 }[event.key];
    if (step === undefined && end === undefined) return;
    event.preventDefault();
    const next = end ?? (at === null ? last.current : last.current + step!);
    tell(Math.min(bars.length - 1, Math.max(0, next)));
  };
  const chosen = at === null ? null : bars[at]!;
  return (
    <figure className="timeline">
      <div
        className="timeline-strip"
        role="application"
        // biome-ignore lint/a11y/noNoninteractiveTabindex: it answers to keys.
        tabIndex={0}
        aria-label={say`${NAME()}: ${bars.length} bars in their order; arrow keys move over them`}
        data-testid="timeline"
        onPointerMove={point}
        onPointerLeave={() => tell(null)}
        onKeyDown={move}
        onBlur={() => tell(null)}
      >
        <Bars bars={bars} by={by} names={names} />
        {chosen === null ? null : (
          <span
            className="timeline-mark"
            style={{ left: `${(100 * chosen.from) / all}%`, width: `${(100 * chosen.microseconds) / all}%` }}
          />
        )}
      </div>
      <figcaption className="tabular" aria-live="polite" data-testid="timeline-said">
        {chosen === null
          ? say`Above, layers in two tones; below, every kernel. Point at one, or walk over them with the arrow keys.`
          : say`${at! + 1} of ${bars.length}: ${chosen.module === null ? chosen.op : say`${chosen.op} in ${chosen.module}`}, kernel ${chosen.kernel}, ${seconds(chosen.microseconds)}, ${percent(chosen.microseconds / all)} of all; from ${seconds(chosen.from)}`}
      </figcaption>
    </figure>
  );
}
