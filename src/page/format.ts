/** Numbers and symbols as people read them. */
import { degreesOf, fixed, local, say, whole } from '../common.ts';
import { METHODS, type MethodId } from '../methods.ts';
import type { DataReport, EvalMetric } from '../protocol.ts';
import { metricText, scoredOn } from '../protocol.ts';

export { fixed, metricText, scoredOn, whole };

/** 1,234 · 1.41 M */
export function count(n: number): string {
  if (Math.abs(n) < 1e6) return whole(n);
  return `${fixed(n / 1e6, n < 1e8 ? 2 : 0)} M`;
}

/** Bytes in powers of 1024. */
export function bytes(n: number): string {
  if (n < 1024) return `${n} B`;
  const units = ['kB', 'MB', 'GB'];
  let value = n / 1024;
  let i = 0;
  while (value >= 1024 && i < units.length - 1) {
    value /= 1024;
    i++;
  }
  return `${fixed(value, value < 10 ? 1 : 0)} ${units[i]}`;
}

export function percent(share: number): string {
  const value = share * 100;
  return `${fixed(value, value >= 99.95 ? 0 : value >= 10 ? 1 : 2)} %`;
}

/** With the sign that is a minus, not a hyphen, and the language’s own point. */
const signed = (digits: string): string => local(digits.replaceAll('-', '−'));

/** "3.4 e−8" from "3.4e-8": on one line wherever it stands. */
const exponent = (digits: string): string => signed(digits.replace('e', '\u00a0e'));

/** A loss or norm: four significant figures, tiny and huge ones in powers of ten. */
export function real(x: number): string {
  if (!Number.isFinite(x)) return signed(String(x));
  const size = Math.abs(x);
  if (size !== 0 && (size < 1e-3 || size >= 1e5)) return exponent(x.toExponential(2));
  return signed(x.toPrecision(4));
}

/** An error: two significant figures in a power of ten. */
export const power = (x: number): string => exponent(x.toExponential(1));

/** A power of ten on an axis: 100 · 1 · 1 e−4 */
export const tenTo = (x: number): string => (x >= 1 ? String(x) : exponent(x.toExponential(0)));

/** A method by its name; of those that have none of their own, what they train. */
export function methodTitle(id: MethodId): string {
  if (id === 'full') return say`Full fine-tuning`;
  if (id === 'head') return say`Head only`;
  return METHODS[id].title;
}

/** A held-out score by its metric. */
export const scoreText = ({ metric, value }: Pick<EvalMetric, 'metric' | 'value'>): string =>
  metric === 'accuracy' ? percent(value) : real(value);

const GREEK: Readonly<Record<string, string>> = { '\\alpha': 'α', '\\varepsilon': 'ε', '\\Delta': 'Δ' };

/** A symbol of the papers, in KaTeX, as letters where there is no formula: Δ_T. */
export const letterOf = (symbol: string): string =>
  symbol.replace(/\\[A-Za-z]+/, (name) => GREEK[name] ?? name);

/** How many examples are learnt from, and how many only scored. */
export const examplesText = ({ trainExamples, heldExamples }: DataReport): string =>
  say`${whole(trainExamples)} to learn from, ${whole(heldExamples)} held aside`;

/** So many a second, short enough for a narrow column. */
export const rate = (perSecond: number): string => (perSecond < 10 ? fixed(perSecond, 1) : whole(perSecond));

export function duration(seconds: number): string {
  if (seconds < 1) return '< 1 s';
  if (seconds < 60) return `${Math.round(seconds)} s`;
  if (seconds < 3600) return say`${Math.floor(seconds / 60)} min ${Math.round(seconds % 60)} s`;
  return say`${Math.floor(seconds / 3600)} h ${Math.round((seconds % 3600) / 60)} min`;
}

/** To so many figures, milliseconds below a second. */
const timeOf = (seconds: number, figures: number): string =>
  seconds < 1
    ? `${local(String(Number((seconds * 1000).toPrecision(figures))))} ms`
    : `${local(String(Number(seconds.toPrecision(figures))))} s`;

/** A time that was measured or forecast. */
export const brief = (seconds: number): string => timeOf(seconds, 3);

/** A time that is told beforehand: one figure too many would promise too much. */
export const roughly = (seconds: number): string => say`about ${timeOf(seconds, 2)}`;

export function ago(milliseconds: number): string {
  const seconds = Math.max(0, milliseconds / 1000);
  if (seconds < 50) return say`just now`;
  if (seconds < 3000) return say`${Math.max(1, Math.round(seconds / 60))} min ago`;
  if (seconds < 80_000) return say`${Math.round(seconds / 3600)} h ago`;
  return say`${Math.round(seconds / 86_400)} days ago`;
}

/** Two places behind the point. */
export const hundredths = (value: number): string => signed(value.toFixed(2));

/** 43.0° */
export const degrees = (radians: number, places = 1): string => `${fixed(degreesOf(radians), places)}°`;

/** A difference of angles, which may be nothing but rounding: in a power of ten where it would read as nothing. */
export function degreesApart(radians: number, places = 1): string {
  const value = degreesOf(radians);
  if (value === 0) return '0°';
  return value < 10 ** -places ? `${power(value)}°` : degrees(radians, places);
}

/** 12 as ₁₂ */
export const subscript = (n: number | string): string =>
  String(n).replaceAll(/\d/g, (digit) => String.fromCodePoint(0x2080 + Number(digit)));

/** Labels of factors as they are read: the index of B_0 lowered. */
export const pretty = (label: string): string =>
  label.replaceAll(/_(\d+)/g, (_, digits: string) => subscript(digits)).replace('_', ' ');

/** White space of a token that would not be seen. */
export const visibleToken = (text: string): string => text.replaceAll('\n', '↵').replaceAll(' ', '␣') || '∅';
