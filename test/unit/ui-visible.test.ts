/**
 * What strangers wrote is shown on the page, never obeyed: every component's texts and labels go through one function. Seen to fail: a build whose JSX is
 * React's own, children that come as a list, a label that is read out.
 */
import { readdirSync, readFileSync } from 'node:fs';
import { createElement, type ReactElement } from 'react';
import { renderToStaticMarkup } from 'react-dom/server';
import { describe, expect, test } from 'vitest';
import { visible } from '../../src/lib/names.ts';
import { jsx, jsxs } from '../../src/page/jsx/jsx-runtime.ts';
import { ErrorText } from '../../src/page/parts/Errors.tsx';
import { Picker } from '../../src/page/parts/Picker.tsx';

const NAMES = [
  'invoice\u202Egnp.exe',
  '\u001b[2Jgone',
  '\u2066left\u2069',
  'mark\u200F',
  'new\u2028line',
  'bell\u0007',
  '\u009b31m',
  'old\rreturn',
  '\u061calm',
  'nul\u0000',
];
const isPlain = (markup: string): boolean => visible(markup) === markup;

describe('texts of the page', () => {
  test.each(NAMES)('%j is written out wherever it stands', (name) => {
    const element = jsxs('p', {
      title: name,
      'aria-label': name,
      children: [name, [` and ${name}`], jsx('b', { children: name }), 7, null],
    }) as ReactElement;
    const written = renderToStaticMarkup(element);
    expect(isPlain(written)).toBe(true);
    expect(written.match(/\\u[0-9a-f]{4}/g)?.length).toBeGreaterThanOrEqual(5);
    const error = createElement(ErrorText, {
      report: { kind: 'bad-data', message: `${name} is no table.`, details: {} },
    });
    expect(isPlain(renderToStaticMarkup(error))).toBe(true);
    const picker = createElement(Picker, {
      label: name,
      value: 'a',
      items: [{ id: 'a', title: name, detail: name }],
      onChange: () => {},
    });
    expect(isPlain(renderToStaticMarkup(picker))).toBe(true);
  });

  test('that need nothing are passed on as they are', () => {
    const children = ['a', 'tab\tand\nline', ['שלום', '👩‍👩‍👧']];
    const { props } = jsxs('p', { children, title: 'b' }) as ReactElement<{ children: unknown }>;
    expect(props.children).toBe(children);
    expect(renderToStaticMarkup(jsxs('p', { children }) as ReactElement)).toContain('שלום👩‍👩‍👧');
  });

  test('come from components alone: nothing else writes into the page', () => {
    const files = readdirSync('src', { recursive: true, encoding: 'utf8' }).filter((path) =>
      /^page\/.*\.tsx?$/.test(path),
    );
    expect(files.length).toBeGreaterThan(50);
    const writes = files.filter((path) =>
      /\.innerHTML|\.outerHTML|insertAdjacent|document\.write|\.textContent\s*=|\.innerText\s*=|fillText\(|React\.createElement/.test(
        readFileSync(`src/${path}`, 'utf8'),
      ),
    );
    expect(writes).toEqual([]);
  });
});
