/**
 * Charts beside the loss: the runs that are compared are in all of them, whichever is on screen; one without a point is not there, or says why. Seen to
 * fail with: a chart that is there for the method on screen alone, norms of the run on screen alone, an empty chart for the head alone.
 */
import { createElement } from 'react';
import { renderToStaticMarkup } from 'react-dom/server';
import { beforeEach, expect, test, vi } from 'vitest';
import type { PageSettings } from '../../src/page/features/setup/settings.ts';
import { newRun, type RunRecord } from '../../src/page/features/training/runs.ts';
import { SideCharts } from '../../src/page/features/training/SideCharts.tsx';
import { Tabs } from '../../src/page/features/training/tabs.ts';
import { createPage } from '../../src/page/page.ts';
import type { ChartSpec } from '../../src/page/parts/Chart.tsx';
import { PageContext } from '../../src/page/usePage.ts';
import { fakeTrainer, openReport, stepMetric } from './page-fixtures.ts';

/** What every chart has on it, by its name. */
const drawn = new Map<string, ChartSpec>();
vi.mock('../../src/page/parts/Chart.tsx', () => ({
  Chart({ name, spec }: { readonly name: string; readonly spec: () => ChartSpec }) {
    drawn.set(name, spec());
    return null;
  },
}));
beforeEach(() => drawn.clear());

interface Made {
  readonly method: PageSettings['method'];
  /** Evaluations that it has. */
  readonly at?: readonly number[];
  /** What they have measured of its adapter. */
  readonly others?: Readonly<Record<string, number>>;
}

/** The charts with these runs, of which the last is on screen; their names are their methods. */
function shown(...made: readonly Made[]): string {
  const unused = vi.fn();
  const page = createPage({
    trainer: fakeTrainer(),
    sessions: { save: async () => {}, load: async () => null, clear: async () => {} },
    ...{ tabs: new Tabs({}), inference: unused, hub: unused, root: '/' },
  });
  const { settings } = page.choice.getState();
  const runs = made.map(({ method, at = [0, 3], others }, id): RunRecord => {
    const run = newRun(id, { ...settings, method }, id, method);
    for (const step of [1, 2, 3]) run.series.add(stepMetric(step));
    for (const step of at)
      run.series.addEval({
        ...{ step, loss: 1, metric: 'accuracy', value: 0.5, examples: 4 },
        ...(others === undefined ? {} : { others }),
      });
    return run;
  });
  if (runs.length > 0) page.run.setState({ runs, current: runs.at(-1)!, open: openReport({ steps: 3 }) });
  // Drawn as a server would, React takes the state that a store began with.
  for (const store of [page.run, page.choice]) store.getInitialState = store.getState as () => never;
  return renderToStaticMarkup(createElement(PageContext, { value: page }, createElement(SideCharts)));
}

const [DISTANCE, RATIO] = ['‖RᵀR − I‖', '‖ΔW‖ / ‖W‖'];
/** The lines of a chart that are of runs, and how much of their colour they have. */
const runsIn = (name: string) =>
  drawn
    .get(name)
    ?.lines.filter(({ color }) => color.startsWith('--line-'))
    .map((line) => `${line.name} ${line.opacity}`);

test('whichever run is on screen, those beside it are in every chart that they have points for', () => {
  const boft: Made = { method: 'boft', others: { relativeChange: 0.2, orthogonality: 1e-6 } };
  const lora: Made = { method: 'lora', others: { relativeChange: 0.1 } };
  shown(boft, { method: 'head' }, lora);
  expect(runsIn(DISTANCE)).toEqual(['boft 0.45']);
  expect(runsIn(RATIO)).toEqual(['boft 0.45', 'lora 1']);
  for (const name of [
    'Held-out accuracy',
    'Learning rate by step',
    'Gradient norm by step',
    'Examples a second',
  ])
    expect(runsIn(name), name).toEqual(['boft 0.45', 'head 0.45', 'lora 1']);
  drawn.clear();
  shown(lora, boft);
  expect(runsIn(DISTANCE)).toEqual(['boft 1']);
  expect(runsIn(RATIO)).toEqual(['lora 0.45', 'boft 1']);
});

test('a chart without a point says why, and one that no run drawn here can fill is not there', () => {
  const withoutAdapter = shown({ method: 'head' }, { method: 'full' });
  expect(withoutAdapter).toContain('the runs drawn here train no adapter but the weights themselves');
  expect(withoutAdapter).not.toContain(DISTANCE);
  expect([...drawn.keys()]).not.toContain(RATIO);

  const before = shown({ method: 'boft' });
  expect(before.match(/Not measured in the runs drawn here/g)).toHaveLength(2);
  expect(before).not.toContain('no adapter');
  // What is still to come is told of, and nothing else.
  const early = shown({ method: 'boft', at: [] });
  for (const name of [DISTANCE, RATIO]) expect(early).toContain(`<p>${name} at every evaluation</p>`);
  expect(early).toContain('<p>measured before, during and after</p>');
  expect(early).not.toContain('Not measured');
  drawn.clear();
  expect(shown()).toContain('<p>before clipping, step by step</p>');
  expect([...drawn.keys()]).toEqual(['Learning rate by step']);
});
