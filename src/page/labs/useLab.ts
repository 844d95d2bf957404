/** The state of the lab on screen: its values as the address has them, and what of them may be moved. */
import { createContext, useContext, useEffect, useState } from 'react';
import type { Lesson } from '../lessons/lesson.ts';
import { lessonIn } from '../lessons/state.ts';
import { useHeld } from '../parts/held.tsx';
import { type Control, readValue, usualValues, type Values } from './controls.ts';
import {
  decodeLab,
  differing,
  encodeLab,
  type LabLink,
  type LabStart,
  labIn,
  type PlaceKind,
} from './link.ts';

export interface Lab extends LabLink {
  readonly id: string;
  /** With the values as they are. */
  readonly address: string;
  readonly controls: readonly Control[];
  /** Sets a value by the rule of its control; what the rule refuses changes nothing. */
  set(name: string, value: number | string): void;
  /** Everything as it usually begins, or as the lesson has it. */
  reset(): void;
  /** How often that was asked for: what a lab keeps beside its values goes with them. */
  readonly resets: number;
  number(name: string): number;
  text(name: string): string;
  /** Names of the controls that the lab has a place for with its values as they are, those that the link hides among them: each says so itself. */
  readonly drawn: Set<string>;
  /** Numbers that are on screen, by the names of the lab's quantities. */
  readonly shown: Map<string, number>;
  /** What differs from how the lab usually begins: the start of a lesson that is made of it as it is. */
  readonly changed: Readonly<Record<string, string>>;
  /** The lesson that the link has. */
  readonly lesson: Lesson | null;
  /** The same as links have it; null without one. */
  readonly lessonLink: string | null;
  /** Goes on without the lesson and its locks; values stay. */
  leave(): void;
}

export const LabContext = createContext<Lab | null>(null);

export function useLab(): Lab {
  const lab = useContext(LabContext);
  if (lab === null) throw new Error('useLab outside of a lab');
  return lab;
}

/** Says what numbers are on screen, by the names of the lab's quantities, so that a lesson can ask for them; null for what is still to come. */
export function useShown(numbers: Readonly<Record<string, number | null>>): void {
  const { shown } = useLab();
  useEffect(() => {
    for (const [name, value] of Object.entries(numbers)) if (value !== null) shown.set(name, value);
    return () => {
      for (const name of Object.keys(numbers)) shown.delete(name);
    };
  });
}

/** As {@link useShown}, where numbers come with an answer. */
export function Shown({ of }: { readonly of: Readonly<Record<string, number | null>> }) {
  useShown(of);
  return null;
}

interface Place {
  readonly id: string;
  readonly kind: PlaceKind;
  readonly controls: readonly Control[];
  readonly start: LabStart;
  readonly lesson: Lesson | null;
}

/** Reads the address once, and again whenever another link is opened; writes it when a value changes. */
export function useLabState({ id, kind, controls, start, lesson }: Place): Lab {
  const [link, setLink] = useState<LabLink>(() => decodeLab(location.hash, controls, start));
  const [shown] = useHeld('shown', () => new Map<string, number>());
  const [drawn] = useState(() => new Set<string>());
  const [resets, setResets] = useHeld('resets', () => 0);
  const change = (values: (before: Values) => Values) =>
    setLink((before) => ({ ...before, values: values(before.values) }));
  const address = `#${encodeLab(id, controls, link, kind, start)}`;
  useEffect(() => {
    // Another lab's address is no setting of this one, nor is that of another lesson.
    const isOwn = () => labIn(location.hash) === id && lessonIn(location.hash) === start.packed;
    if (isOwn()) history.replaceState(history.state, '', address);
    const read = () => {
      if (isOwn()) setLink(decodeLab(location.hash, controls, start));
    };
    addEventListener('hashchange', read);
    return () => removeEventListener('hashchange', read);
  }, [id, controls, address, start]);
  return {
    ...link,
    ...{ id, address, controls, drawn, shown, lesson, lessonLink: start.packed, resets },
    changed: differing(controls, link.values),
    set(name, value) {
      const control = controls.find((one) => one.name === name);
      const read = control && readValue(control, String(value));
      if (!read || 'problem' in read) return;
      const held = new Set([...link.locked, ...link.hidden]);
      const renewed = controls.filter((one) => control.renews?.includes(one.name) && !held.has(one.name));
      change((values) => ({ ...values, ...usualValues(renewed), [name]: read.value }));
    },
    // What was locked or hidden stays as whoever made the link has it.
    reset() {
      setResets((before) => before + 1);
      change((values) => ({
        ...start.values,
        ...Object.fromEntries([...link.locked, ...link.hidden].map((name) => [name, values[name]!])),
      }));
    },
    number: (name) => Number(link.values[name]),
    text: (name) => String(link.values[name]),
    leave: () => {
      location.hash = encodeLab(id, controls, { ...link, locked: [], hidden: [] }, kind);
    },
  };
}
