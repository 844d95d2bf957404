/**
 * What strangers wrote is shown on the page, never obeyed, and no number stands on another line than its unit: every component's texts and labels go through
 * one function. Seen to fail: a build whose JSX is React's own, children that come as a list, a label that is read out, a unit after a number that is a value.
 */
import { readdirSync, readFileSync } from 'node:fs';
import { createElement, type ReactElement } from 'react';
import { renderToStaticMarkup } from 'react-dom/server';
import { describe, expect, test } from 'vitest';
import { visible } from '../../src/lib/names.ts';
import { brief, bytes, count, duration, percent } from '../../src/page/format.ts';
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

  test('keep numbers and their units on one line, written by whomever', () => {
    const written = (...children: unknown[]) =>
      renderToStaticMarkup(jsxs('p', { children }) as ReactElement)
        .replace(/<\/?p>/g, '')
        .replaceAll('\u00a0', '_');
    const numbers = [percent(0.5), bytes(3e6), count(2.5e6), duration(75), brief(0.02), brief(2.5)];
    expect(written(numbers.join('; '))).toBe('50.0_%; 2.9_MB; 2.50_M; 1_min 15_s; 20_ms; 2.5_s');
    expect(written('50 % is guessing, 2 GiB, 3 s/step, 64 kB.')).toBe(
      '50_% is guessing, 2_GiB, 3_s/step, 64_kB.',
    );
    // Beside values, which are texts of their own.
    expect(written('so ', 12, ' % of ', '3', ' s')).toBe('so 12_% of 3_s');
    expect(written('还剩 3 分 5 秒，约 20 毫秒')).toBe('还剩 3_分 5_秒，约 20_毫秒');
    // What is there to be copied stays as it is.
    expect(renderToStaticMarkup(jsx('pre', { children: 'took 3 s' }) as ReactElement)).toContain('3 s');
    // Words are no units.
    expect(written('3 steps, 4 Bs, 5 hints, 2 minutes, rank 2 matrices')).toBe(
      '3 steps, 4 Bs, 5 hints, 2 minutes, rank 2 matrices',
    );
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
