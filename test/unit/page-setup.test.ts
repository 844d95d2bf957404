/** What Choose shows before anything is chosen. Seen to fail with: a card that says the preset's own settings as changes, one that leaves out what was set by hand. */
import { createElement } from 'react';
import { renderToStaticMarkup } from 'react-dom/server';
import { expect, test } from 'vitest';
import { Setup } from '../../src/page/features/setup/Setup.tsx';
import { TargetTree } from '../../src/page/features/setup/Targets.tsx';
import { Tabs } from '../../src/page/features/training/tabs.ts';
import { createPage } from '../../src/page/page.ts';
import { PageContext } from '../../src/page/usePage.ts';
import { fakeTrainer, visionReport } from './page-fixtures.ts';

const unused = () => Promise.reject(new Error('not used in these tests'));

function setUp() {
  const page = createPage({
    trainer: fakeTrainer(),
    sessions: { save: async () => {}, load: async () => null, clear: async () => {} },
    ...{ tabs: new Tabs({}), inference: unused, hub: unused, root: '/' },
  });
  page.choice.setState({ report: visionReport() });
  for (const store of [page.run, page.ui, page.choice, page.data.view])
    store.getInitialState = store.getState as () => never;
  return page;
}

type Page = ReturnType<typeof setUp>;

/** What each card says that choosing its preset changes, by the preset. */
function changesOn(page: Page): Record<string, string> {
  const html = renderToStaticMarkup(createElement(PageContext, { value: page }, createElement(Setup)));
  const cards = [...html.matchAll(/value="([a-z-]+)"(?:(?!value=").)*?card-facts(?:(?!value=").)*/gs)];
  return Object.fromEntries(
    cards.map(([card, id]) => [id, /card-changes[^>]*>changes: ([^<]*)</.exec(card)?.[1] ?? '']),
  );
}

test('a card says what choosing it changes, of what is set now', () => {
  const page = setUp();
  const first = changesOn(page);
  expect(first['letters-boft']).toBe('');
  expect(first['oft-equal-budget']).toBe('BOFT → OFT, learning rate 0.005 → 0.008');
  expect(first['own-model']).toMatch(/^model glyphs-vit → own, data letters → files/);
  page.setTraining('steps', 40);
  page.setTraining('seed', 7);
  expect(changesOn(page)['oft-equal-budget']).toBe('BOFT → OFT, learning rate 0.005 → 0.008, steps 40 → 300');
  page.choosePreset('oft-equal-budget');
  expect(page.choice.getState().settings.training).toMatchObject({ steps: 300, seed: 7 });
  const now = changesOn(page);
  expect([now['oft-equal-budget'], now['letters-boft']]).toEqual([
    '',
    'OFT → BOFT, learning rate 0.008 → 0.005',
  ]);
});

test('each module says what its adapter stores and what of that is free', () => {
  const page = setUp();
  const tree = createElement(TargetTree, { derived: page.derived(), isEditable: true, onChange: () => {} });
  const html = renderToStaticMarkup(createElement(PageContext, { value: page }, tree));
  const numbers = [...html.matchAll(/tree-number[^>]*>([^<]*)</g)].map(([, text]) => text!.split(' / '));
  const [stored, free] = numbers
    .find((both) => both.length === 2)!
    .map((text) => Number(text.replace(',', '')));
  const row = page.derived().rows.find(({ isTarget }) => isTarget)!;
  expect([stored, free]).toEqual([row.count!.stored, row.count!.free]);
  expect(free).toBeLessThan(stored!);
  page.choosePreset('fourier-few');
  const waves = createElement(TargetTree, { derived: page.derived(), isEditable: true, onChange: () => {} });
  expect(renderToStaticMarkup(createElement(PageContext, { value: page }, waves))).toMatch(
    /tree-number[^>]*>200</,
  );
});
