/**
 * Keys and the commands behind them. Seen to fail with: a key that is taken from a text box, Space that trains while a button has the focus, a
 * command that runs although it is not enabled, two commands on one key, a key of a component that no table has, a sheet without a command.
 */
import { readdirSync, readFileSync } from 'node:fs';
import { createElement } from 'react';
import { renderToStaticMarkup } from 'react-dom/server';
import { beforeEach, describe, expect, it, vi } from 'vitest';
import { COMMANDS, commandById, commandTip, handleKey, keyText, OWN_KEYS } from '../../src/page/commands.ts';
import { Tabs } from '../../src/page/features/training/tabs.ts';
import { createPage, type Page } from '../../src/page/page.ts';
import { KeySheet } from '../../src/page/parts/Help.tsx';
import { fakeTrainer, stepMetric, visionReport } from './page-fixtures.ts';

const unused = () => Promise.reject(new Error('not used in these tests'));
const settle = () => new Promise((resolve) => setTimeout(resolve, 0));

function setUp() {
  const trainer = fakeTrainer();
  const page = createPage({
    trainer,
    sessions: { save: async () => {}, load: async () => null, clear: async () => {} },
    tabs: new Tabs({}),
    inference: unused,
    hub: unused,
    root: '/',
  });
  page.choice.setState({ report: visionReport() });
  page.ui.setState({ gpu: { state: 'ready', isSoftware: true, name: 'a GPU' } });
  return { page, trainer };
}

/** An element of which `closest` finds itself by one of these selectors. */
const focused = (...selectors: string[]) => ({
  closest: (list: string) => (list.split(/,\s*/).some((one) => selectors.includes(one)) ? {} : null),
});

function press(page: Page, key: string, more: Partial<KeyboardEvent> = {}): boolean {
  const preventDefault = vi.fn();
  handleKey(page, { key, target: null, preventDefault, ...more } as unknown as KeyboardEvent);
  return preventDefault.mock.calls.length > 0;
}

describe('a key', () => {
  let page: Page;
  let trainer: ReturnType<typeof fakeTrainer>;
  beforeEach(() => {
    ({ page, trainer } = setUp());
  });

  it('trains, steps and resets, and the browser does nothing else with it', async () => {
    expect(press(page, ' ')).toBe(true);
    await settle();
    expect(trainer.calls).toEqual(['open', 'play']);
    trainer.send({ type: 'step', metric: stepMetric(1), submits: 1 });
    expect(press(page, 'S')).toBe(true);
    await settle();
    expect(trainer.calls.at(-1)).toBe('checkpoint');
    press(page, 'r');
    await vi.waitFor(() => expect(page.run.getState().current).toBeNull());
    press(page, 'ArrowRight');
    await settle();
    expect(trainer.calls.at(-1)).toBe('step');
  });

  it('is left alone where its command makes no sense now', async () => {
    expect(press(page, 'r')).toBe(false);
    expect(press(page, 's')).toBe(false);
    page.ui.setState({ gpu: null });
    expect(press(page, ' ')).toBe(false);
    page.ui.setState({ gpu: { state: 'ready', isSoftware: true, name: 'a GPU' } });
    page.run.setState({ state: 'finished' });
    expect(press(page, ' ')).toBe(false);
    await settle();
    expect(trainer.calls).toEqual([]);
  });

  it('belongs to the focused control where that uses it', () => {
    const isTaken = (key: string, ...selectors: string[]) =>
      !press(page, key, { target: focused(...selectors) as unknown as EventTarget });
    expect(isTaken('?', 'textarea')).toBe(true);
    expect(isTaken(']', 'select')).toBe(true);
    expect(isTaken(' ', 'button')).toBe(true);
    expect(isTaken('ArrowRight', '[role=slider]')).toBe(true);
    // A list finds its items by letters, and its button does; behind a dialog nothing happens.
    expect(isTaken('i', '[role=listbox]')).toBe(true);
    expect(isTaken('i', '[aria-haspopup=listbox]')).toBe(true);
    expect(isTaken('i', '[role=dialog]')).toBe(true);
    expect(page.ui.getState()).toMatchObject({ isHelpOpen: false, isStartOpen: false, factors: null });
    // What a button does not use is the page's.
    expect(isTaken('?', 'button')).toBe(false);
    expect(page.ui.getState().isHelpOpen).toBe(true);
    expect(isTaken('?', '[role=dialog]')).toBe(false);
    expect(page.ui.getState().isHelpOpen).toBe(false);
    // A slider has no use for letters.
    expect(isTaken('i', 'input')).toBe(false);
  });

  it('with another key held down, or used already, is not ours', () => {
    for (const more of [{ ctrlKey: true }, { metaKey: true }, { altKey: true }, { defaultPrevented: true }])
      expect(press(page, '?', more)).toBe(false);
    expect(press(page, 'x')).toBe(false);
    expect(page.ui.getState().isHelpOpen).toBe(false);
  });

  it('moves between the panels and the factors', () => {
    const focus = vi.fn();
    vi.stubGlobal('document', { getElementById: () => ({ focus }) });
    try {
      press(page, '3');
    } finally {
      vi.unstubAllGlobals();
    }
    expect(page.ui.getState().panel).toBe('see');
    expect(focus).toHaveBeenCalled();
    press(page, '[');
    expect(page.ui.getState().factors).toBe(1);
    for (let i = 0; i < 3; i++) press(page, ']');
    expect(page.ui.getState().factors).toBe(2);
  });
});

describe('commands', () => {
  it('have a name, a key and words of their own', () => {
    for (const part of ['id', 'key', 'keyLabel'] as const)
      expect(new Set(COMMANDS.map((command) => command[part])).size).toBe(COMMANDS.length);
    expect(new Set(COMMANDS.map((command) => command.label())).size).toBe(COMMANDS.length);
    expect(COMMANDS.every(({ key }) => key === key.toLowerCase())).toBe(true);
    expect(commandById('reset').label()).toMatch(/undone/);
  });
});

describe('the sheet of keys', () => {
  const shown = renderToStaticMarkup(createElement(KeySheet));
  const plain = (text: string) => text.replaceAll('<', '&lt;').replaceAll('>', '&gt;');

  it('has every command with its key, and every key that a control uses itself', () => {
    for (const { keyLabel, label } of COMMANDS)
      expect(shown).toContain(`<dt><kbd>${plain(keyLabel)}</kbd></dt><dd>${plain(label())}</dd>`);
    for (const { where, keys, label } of OWN_KEYS) {
      expect(shown).toContain(`<dt>${keys.map((key) => `<kbd>${keyText(key)}</kbd>`).join('')}</dt>`);
      expect(shown).toContain(`<b>${where()}</b>: ${label()}`);
    }
    expect(shown.match(/<dt>/g)).toHaveLength(COMMANDS.length + OWN_KEYS.length);
  });

  it('lacks no key that a component listens for', () => {
    const listed = new Set([...COMMANDS.map(({ key }) => key), ...OWN_KEYS.flatMap(({ keys }) => keys)]);
    const listened = readdirSync('src/page', { recursive: true, encoding: 'utf8' })
      .filter((path) => /\.tsx?$/.test(path) && !/commands\.ts$/.test(path))
      .flatMap((path) => {
        const text = readFileSync(`src/page/${path}`, 'utf8');
        if (!/\bonKeyDown\b|\bkeydown\b|\.key\b/.test(text)) return [];
        const named = text.matchAll(
          /(?:\.key === |case )'([^']+)'|\b(Arrow(?:Up|Down|Left|Right)|Home(?=:)|End(?=:))/g,
        );
        return [...named].map(([, key, arrow]) => ({ path, key: (key ?? arrow)! }));
      })
      .filter(({ key }) => /^(.|Arrow\w+|Enter|Escape|Home|End|Tab|Page\w+|Delete|Backspace)$/.test(key));
    expect(listened.length).toBeGreaterThan(5);
    expect(listened.filter(({ key }) => !listed.has(key))).toEqual([]);
    // A picture that is walked over by keys has a line of the sheet with all of them.
    const pictures = [...new Set(listened.map(({ path }) => path))].filter((path) =>
      readFileSync(`src/page/${path}`, 'utf8').includes('application'),
    );
    const lines = OWN_KEYS.map(({ keys }) => new Set(keys));
    expect(pictures).toHaveLength(4);
    for (const path of pictures) {
      const walked = listened.filter((one) => one.path === path);
      expect(
        lines.some((line) => walked.every(({ key }) => line.has(key))),
        path,
      ).toBe(true);
    }
  });

  it('says of a button which key does the same', () => {
    expect(commandTip(commandById('toggle'))).toBe('Train or pause (Space)');
  });
});
