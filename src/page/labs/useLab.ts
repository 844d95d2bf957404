/** The state of the lab on screen: its values as the address has them, and what of them may be moved. */
import { createContext, useContext, useEffect, useState } from 'react';
import { type Control, readValue, usualValues, type Values } from './controls.ts';
import { decodeLab, encodeLab, type LabLink, type LabSetting, labIn, type PlaceKind } from './link.ts';

export interface Lab extends LabLink {
  readonly id: string;
  readonly controls: readonly Control[];
  /** Sets a value by the rule of its control; what the rule refuses changes nothing. */
  set(name: string, value: number | string): void;
  /** Everything as it usually begins. */
  reset(): void;
  number(name: string): number;
  text(name: string): string;
  /** Numbers that are on screen, by the names of the lab's quantities. */
  readonly shown: Map<string, number>;
  /** The address of a lab that is set so. */
  linkTo(setting: LabSetting): string;
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

/** Reads the address once, and again whenever another link is opened; writes it when a value changes. */
export function useLabState(id: string, controls: readonly Control[], kind: PlaceKind): Lab {
  const [link, setLink] = useState<LabLink>(() => decodeLab(location.hash, controls));
  const [shown] = useState(() => new Map<string, number>());
  const change = (values: (before: Values) => Values) =>
    setLink((before) => ({ ...before, values: values(before.values) }));
  useEffect(() => {
    if (labIn(location.hash) === id)
      history.replaceState(null, '', `#${encodeLab(id, controls, link, kind)}`);
  }, [id, controls, link, kind]);
  useEffect(() => {
    // Another lab's address is no setting of this one.
    const read = () => {
      if (labIn(location.hash) === id) setLink(decodeLab(location.hash, controls));
    };
    addEventListener('hashchange', read);
    return () => removeEventListener('hashchange', read);
  }, [id, controls]);
  return {
    ...link,
    ...{ id, controls, shown },
    set(name, value) {
      const control = controls.find((one) => one.name === name);
      const read = control && readValue(control, String(value));
      if (read && 'value' in read) change((values) => ({ ...values, [name]: read.value }));
    },
    // What was locked or hidden stays as whoever made the link has it.
    reset: () =>
      change((values) => ({
        ...usualValues(controls),
        ...Object.fromEntries([...link.locked, ...link.hidden].map((name) => [name, values[name]!])),
      })),
    number: (name) => Number(link.values[name]),
    text: (name) => String(link.values[name]),
    linkTo: (setting) =>
      `${location.origin}${location.pathname}${location.search}#${encodeLab(id, controls, setting, kind)}`,
  };
}
