/**
 * The information-transmission graph: m + 1 columns of nodes. Pointing at a node lights what it reaches and where it comes from; a click
 * keeps it lit and lets the light run on column by column. Arrow keys do the same.
 */

import { type KeyboardEvent, type PointerEvent, useEffect, useMemo, useRef, useState } from 'react';
import { useStore } from 'zustand';
import { say } from '../../../common.ts';
import { pretty } from '../../format.ts';
import { Action } from '../../parts/Action.tsx';
import { Block } from '../../parts/Facts.tsx';
import { rich } from '../../parts/rich.ts';
import { SaveMenu } from '../../parts/SaveMenu.tsx';
import { Sentences } from '../../parts/Sentences.tsx';
import { pngItem, tableItem } from '../../parts/saveItems.ts';
import { drawSoon } from '../inspect/frames.ts';
import { moved } from '../inspect/MatrixCanvas.tsx';
import { columnTexts, type Focus, focusOn, focusText, type Place } from './focus.ts';
import {
  bundleOf,
  drawEdges,
  drawNodes,
  drawnEdges,
  everything,
  hitAt,
  type Layout,
  layoutOf,
  yOf,
} from './graphPicture.ts';
import { useLitColors } from './Overlay.tsx';
import { shownFocus, type View } from './view.ts';
import { wiresOf } from './wiring.ts';

/** Milliseconds between one column lighting up and the next. */
const COLUMN_MS = 160;

const moves = (): boolean => !matchMedia('(prefers-reduced-motion: reduce)').matches;

const NAME = () => say`Information graph`;

export function Graph({
  view,
  onFigure,
}: {
  readonly view: View;
  readonly onFigure?: (() => void) | undefined;
}) {
  const { wiring } = view;
  const { size, stages } = wiring;
  const bundle = bundleOf(size);
  const picture = useRef<HTMLDivElement>(null);
  return (
    <Block
      title={say`How information travels`}
      label={NAME()}
      beside={
        <span className="row hint">
          {say`left to right, B₀ first`}
          <SaveMenu
            of={NAME()}
            items={[
              pngItem(NAME(), () => [...picture.current!.querySelectorAll('canvas')]),
              tableItem(NAME(), () => wiresOf(wiring)),
            ]}
          />
        </span>
      }
    >
      <div className="graph-labels" aria-hidden="true">
        {stages.map(({ label }) => (
          <span key={label}>{pretty(label)}</span>
        ))}
      </div>
      <div ref={picture}>
        <Canvas view={view} />
      </div>
      <div className="row graph-ends" aria-hidden="true">
        <span>{say`inputs`}</span>
        <span>{say`outputs`}</span>
      </div>
      {bundle === 1 ? null : (
        <p className="hint">{say`One node is drawn for ${bundle} of the ${size}, numbered by the first: pointed at, it stands for all of them, and it is lit where any is.`}</p>
      )}
      {onFigure === undefined ? null : (
        <p className="hint">
          {rich`Drawn as in figure 2 of the paper; ${<Action kind="link" text={say`show figure 4’s own wiring`} onPress={onFigure} />}`}
        </p>
      )}
      <Said view={view} />
    </Block>
  );
}

/** The picture in words. */
function Said({ view }: { readonly view: View }) {
  const focus = useStore(view.store, shownFocus);
  const isPinned = useStore(view.store, (s) => s.pinned !== null);
  const lit = view.lit();
  const texts =
    lit === null
      ? Array.from({ length: view.wiring.stages.length + 1 }, () => '')
      : columnTexts(view.wiring, lit);
  return (
    <div className="graph-said">
      <p role="status" data-testid="focus">
        <Sentences>
          {focus === null || lit === null
            ? say`Point at an input, an output, an edge or an entry; click to keep it lit.`
            : focusText(view.wiring, focus, lit)}
          {isPinned ? <span className="hint">{say`Kept; Esc lets it go.`}</span> : null}
        </Sentences>
      </p>
      <ol data-testid="reach" style={{ height: 18 * (view.wiring.stages.length + 1) }}>
        {texts.map((text, k) => (
          // biome-ignore lint/suspicious/noArrayIndexKey: a column is its place; its element stays while the words change.
          <li key={k}>{text}</li>
        ))}
      </ol>
    </div>
  );
}

/** Width of an element as it changes. */
function useWidth(element: React.RefObject<HTMLElement | null>): number {
  const [width, setWidth] = useState(0);
  useEffect(() => {
    const watch = new ResizeObserver(([entry]) => setWidth(Math.round(entry!.contentRect.width)));
    watch.observe(element.current!);
    return () => watch.disconnect();
  }, [element]);
  return width;
}

function Canvas({ view }: { readonly view: View }) {
  const { wiring, store } = view;
  const host = useRef<HTMLDivElement>(null);
  const width = useWidth(host);
  const layout = useMemo(() => layoutOf(wiring, Math.max(200, width)), [wiring, width]);
  const edges = useMemo(() => {
    const all = everything(wiring);
    const found: Uint8Array[] = [];
    return (factor: number) => {
      found[factor] ??= drawnEdges(wiring, layout, factor, all);
      return found[factor];
    };
  }, [wiring, layout]);
  const place = (column: number, node: number): Place => ({
    column,
    first: node * layout.bundle,
    last: Math.min(wiring.size, (node + 1) * layout.bundle) - 1,
  });
  const focusAt = (event: PointerEvent): Focus | null => {
    const box = event.currentTarget.getBoundingClientRect();
    const hit = hitAt(layout, edges, event.clientX - box.left, event.clientY - box.top);
    if (hit === null) return null;
    if (hit.kind === 'node') return focusOn(wiring, place(hit.column, hit.node));
    return { from: place(hit.factor, hit.from), to: place(hit.factor + 1, hit.to) };
  };
  const [cursor, setCursor] = useState<readonly [column: number, node: number]>([0, 0]);
  const onKey = (event: KeyboardEvent) => {
    const by = moved(event);
    if (by !== null) {
      const held = (value: number, count: number) => Math.min(count - 1, Math.max(0, value));
      const next = [
        held(cursor[0] + Math.sign(by[1]), layout.columns),
        held(cursor[1] + by[0], layout.nodes),
      ] as const;
      setCursor(next);
      view.point(focusOn(wiring, place(...next)));
    } else if (event.key === 'Enter' || event.key === ' ')
      view.pin(store.getState().hover ?? focusOn(wiring, place(...cursor)));
    else if (event.key === 'Escape') {
      view.point(null);
      if (store.getState().pinned !== null) view.pin(null);
    } else return;
    event.preventDefault();
  };
  return (
    <div
      ref={host}
      className="graph"
      role="application"
      // biome-ignore lint/a11y/noNoninteractiveTabindex: it answers to keys.
      tabIndex={0}
      aria-label={say`Information graph: ${layout.columns} columns of ${wiring.size} nodes. Arrow keys move between nodes, Enter keeps one lit.`}
      data-testid="graph"
      style={{ height: layout.height }}
      onKeyDown={onKey}
      onBlur={() => view.point(null)}
      onPointerMove={(event) => view.point(focusAt(event))}
      onPointerLeave={() => view.point(null)}
      onClick={(event) => view.pin(focusAt(event as unknown as PointerEvent))}
    >
      {width === 0 ? null : <Ground layout={layout} edgesOf={edges} />}
      {width === 0 ? null : <Lit view={view} layout={layout} />}
      {width === 0 ? null : <Numbers layout={layout} />}
    </div>
  );
}

/** A canvas as sharp as the screen; drawn in CSS pixels. */
function useSharpCanvas({ width, height }: Layout) {
  const canvas = useRef<HTMLCanvasElement>(null);
  const ratio = Math.min(2, globalThis.devicePixelRatio || 1);
  const context = () => {
    const drawing = canvas.current?.getContext('2d') ?? null;
    drawing?.setTransform(ratio, 0, 0, ratio, 0, 0);
    drawing?.clearRect(0, 0, width, height);
    return drawing;
  };
  const props = {
    ref: canvas,
    width: Math.round(width * ratio),
    height: Math.round(height * ratio),
    style: { width, height },
    'aria-hidden': true,
  } as const;
  return { canvas, context, props };
}

/** All nodes and edges. */
function Ground(props: { readonly layout: Layout; readonly edgesOf: (factor: number) => Uint8Array }) {
  const { layout, edgesOf } = props;
  const colors = useLitColors();
  const { canvas, context, props: sharp } = useSharpCanvas(layout);
  // biome-ignore lint/correctness/useExhaustiveDependencies: the context is that of the canvas.
  useEffect(
    () =>
      drawSoon(canvas.current!, () => {
        const drawing = context();
        if (drawing === null) return;
        for (let factor = 0; factor < layout.columns - 1; factor++)
          drawEdges(drawing, layout, factor, edgesOf(factor), { color: colors.line, width: 0.8, alpha: 0.8 });
        for (let column = 0; column < layout.columns; column++)
          drawNodes(drawing, layout, column, colors.ink, () => true);
      }),
    [layout, edgesOf, colors],
  );
  return <canvas {...sharp} />;
}

/** The numbers of inputs and outputs, as many as there is room for. */
function Numbers({ layout }: { readonly layout: Layout }) {
  const { nodes, bundle } = layout;
  const every = Math.ceil(nodes / 16);
  const shown = Array.from({ length: Math.ceil(nodes / every) }, (_, i) => i * every);
  return shown.flatMap((node) =>
    ['left', 'right'].map((side) => (
      <span
        key={`${side} ${node}`}
        className={`graph-number is-${side}`}
        aria-hidden="true"
        style={{ top: yOf(layout, node) }}
      >
        {node * bundle}
      </span>
    )),
  );
}

/** What is lit, over the ground; what was clicked lights up column by column. */
function Lit({ view, layout }: { readonly view: View; readonly layout: Layout }) {
  const { wiring, store } = view;
  const colors = useLitColors();
  const { canvas, context, props: sharp } = useSharpCanvas(layout);
  // biome-ignore lint/correctness/useExhaustiveDependencies: the context is that of the canvas.
  useEffect(() => {
    const element = canvas.current!;
    let begun = 0;
    const draw = () => {
      const drawing = context();
      const lit = view.lit();
      if (drawing === null) return;
      if (lit === null) {
        Object.assign(element.dataset, { columns: '0', edges: '' });
        return;
      }
      const isRunning = begun > 0 && store.getState().hover === null;
      const far = isRunning ? Math.floor((performance.now() - begun) / COLUMN_MS) : layout.columns;
      const from = shownFocus(store.getState())?.from?.column ?? 0;
      const shown = (column: number) => column <= from + far;
      drawing.lineCap = 'round';
      const counts: number[] = [];
      for (let factor = 0; factor < layout.columns - 1; factor++)
        if (shown(factor + 1)) {
          const edges = drawnEdges(wiring, layout, factor, lit);
          counts.push(drawEdges(drawing, layout, factor, edges, { color: colors.lit, width: 1.4, alpha: 1 }));
        }
      for (let column = 0; column < layout.columns; column++)
        if (shown(column)) {
          const on = new Uint8Array(layout.nodes);
          lit[column]!.forEach((isLit, i) => {
            if (isLit) on[Math.floor(i / layout.bundle)] = 1;
          });
          drawNodes(drawing, layout, column, colors.lit, (node) => on[node] === 1);
        }
      element.dataset.columns = String(Math.min(layout.columns, from + far + 1));
      element.dataset.edges = counts.join(' ');
      if (isRunning && from + far < layout.columns - 1) wish();
      else begun = 0;
    };
    const wish = () => drawSoon(element, draw);
    let takeBack = wish();
    const end = store.subscribe((now, before) => {
      if (now.pinned !== before.pinned) begun = now.pinned !== null && moves() ? performance.now() : 0;
      if (shownFocus(now) !== shownFocus(before) || now.pinned !== before.pinned) takeBack = wish();
    });
    return () => {
      end();
      takeBack();
    };
  }, [view, layout, colors]);
  return <canvas {...sharp} data-testid="graph-lit" />;
}
