/** What can be moved in a lab and what it shows, and the one rule by which a value counts: the same for a control on screen and for a link. */
import { say } from '../../common.ts';

interface NumberControl {
  readonly kind: 'number';
  readonly min: number;
  readonly max: number;
  readonly step: number;
  readonly usual: number;
}

interface ChoiceControl {
  readonly kind: 'choice';
  readonly values: readonly string[];
  readonly usual: string;
}

export type Control = (NumberControl | ChoiceControl) & {
  /** As the link has it; one word. */
  readonly name: string;
  /** What it is called where it is locked or hidden; else its name. */
  readonly title?: () => string;
  /** The symbol of the formulas that it sets. */
  readonly symbol?: string;
  /** Controls that begin anew when it is set, unless they are locked or hidden. */
  readonly renews?: readonly string[];
};

/** A number that a lab shows, which a lesson may ask for; its value at hand comes from `useShown`. */
export interface Quantity {
  /** One word. */
  readonly name: string;
  /** With its unit. */
  readonly title: () => string;
  /** There is one at each step of a run. */
  readonly isAtStep?: true;
}

export type Values = Readonly<Record<string, number | string>>;

export const usualValues = (controls: readonly Control[]): Values =>
  Object.fromEntries(controls.map(({ name, usual }) => [name, usual]));

/** Digits behind the point that a step has. */
const digitsOf = (step: number): number => (String(step).split('.')[1] ?? '').length;

/** The value that a text stands for, or a sentence on why it stands for none. */
export function readValue(
  control: Control,
  text: string,
): { readonly value: number | string } | { readonly problem: string } {
  const { name } = control;
  if (control.kind === 'choice') {
    if (control.values.includes(text)) return { value: text };
    return {
      problem: say`${name} = ${shortly(text)} is not used: choose one of ${control.values.join(', ')}.`,
    };
  }
  const { min, max, step } = control;
  const value = Number(text);
  if (text.trim() === '' || !Number.isFinite(value) || value < min || value > max)
    return { problem: say`${name} = ${shortly(text)} is not used: it is a number from ${min} to ${max}.` };
  return { value: Number((min + Math.round((value - min) / step) * step).toFixed(digitsOf(step))) };
}

const MOST_LETTERS = 40;
const shortly = (text: string): string =>
  text.length > MOST_LETTERS ? `${text.slice(0, MOST_LETTERS)}…` : text;
