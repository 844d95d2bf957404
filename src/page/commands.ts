/** Every key of the page, once: buttons, tooltips, the key map and the help sheet read these tables. */
import { say } from '../common.ts';
import type { Page } from './page.ts';

export interface Command {
  readonly id: string;
  /** In the language spoken. */
  label(): string;
  /** KeyboardEvent.key, lower case. */
  readonly key: string;
  /** How the key is shown. */
  readonly keyLabel: string;
  isEnabled(page: Page): boolean;
  run(page: Page): void;
}

const hasRun = ({ run }: Page): boolean => run.getState().current !== null;
const always = (): boolean => true;

const panel = (key: string, name: 'choose' | 'train' | 'see', label: () => string): Command => ({
  id: `panel-${name}`,
  label,
  key,
  keyLabel: key,
  isEnabled: always,
  run: (page) => {
    page.ui.setState({ panel: name });
    document.getElementById(`panel-${name}`)?.focus();
  },
});

export const COMMANDS: readonly Command[] = [
  {
    id: 'toggle',
    label: () => say`Train or pause`,
    key: ' ',
    keyLabel: 'Space',
    isEnabled: (page) => page.canTrain() && page.run.getState().state !== 'finished',
    run: (page) => void page.controller.toggle(),
  },
  {
    id: 'step',
    label: () => say`One step`,
    key: 'arrowright',
    keyLabel: '→',
    isEnabled: (page) => page.canTrain() && page.run.getState().state !== 'finished',
    run: (page) => void page.controller.step(),
  },
  {
    id: 'reset',
    label: () => say`Reset (can be undone)`,
    key: 'r',
    keyLabel: 'R',
    isEnabled: hasRun,
    run: (page) => void page.controller.reset(),
  },
  {
    id: 'save',
    label: () => say`Keep a checkpoint now`,
    key: 's',
    keyLabel: 'S',
    isEnabled: hasRun,
    run: (page) => void page.controller.save(),
  },
  {
    id: 'targets',
    label: () => say`Write target modules`,
    key: '/',
    keyLabel: '/',
    isEnabled: always,
    run: (page) => page.show('targets', 'target-box'),
  },
  panel('1', 'choose', () => say`Go to Choose`),
  panel('2', 'train', () => say`Go to Train`),
  panel('3', 'see', () => say`Go to See`),
  {
    id: 'fewer-factors',
    label: () => say`Multiply one factor less`,
    key: '[',
    keyLabel: '[',
    isEnabled: always,
    run: (page) => page.moveFactors(-1),
  },
  {
    id: 'more-factors',
    label: () => say`Multiply one factor more`,
    key: ']',
    keyLabel: ']',
    isEnabled: always,
    run: (page) => page.moveFactors(1),
  },
  {
    id: 'start',
    label: () => say`What this is`,
    key: 'i',
    keyLabel: 'I',
    isEnabled: always,
    run: ({ ui }) => ui.setState((s) => ({ isStartOpen: !s.isStartOpen })),
  },
  {
    id: 'help',
    label: () => say`Keyboard help`,
    key: '?',
    keyLabel: '?',
    isEnabled: always,
    run: ({ ui }) => ui.setState((s) => ({ isHelpOpen: !s.isHelpOpen })),
  },
];

/** Keys that a control uses itself while it has the focus; the page's own stay away from it meanwhile. */
export const OWN_KEYS: readonly {
  where(): string;
  readonly keys: readonly string[];
  label(): string;
}[] = [
  {
    where: () => say`Tabs, choices and lists`,
    keys: ['ArrowLeft', 'ArrowRight', 'ArrowUp', 'ArrowDown'],
    label: () => say`the one beside it`,
  },
  {
    where: () => say`Sliders`,
    keys: ['ArrowLeft', 'ArrowRight', 'Home', 'End'],
    label: () => say`less, more, the least, the most`,
  },
  { where: () => say`Boxes`, keys: ['Enter', 'Escape'], label: () => say`take what is written; put it back` },
  {
    where: () => say`Pictures of matrices`,
    keys: ['ArrowLeft', 'ArrowRight', 'ArrowUp', 'ArrowDown'],
    label: () => say`the entry beside it, with Shift ten further`,
  },
  {
    where: () => say`The graph of a rotation`,
    keys: ['ArrowLeft', 'ArrowRight', 'ArrowUp', 'ArrowDown', 'Enter', ' ', 'Escape'],
    label: () => say`the node beside it; keep it lit; let it go`,
  },
  {
    where: () => say`The line of kernels`,
    keys: ['ArrowLeft', 'ArrowRight', 'ArrowUp', 'ArrowDown', 'Home', 'End'],
    label: () => say`the kernel beside it; ten back or on; the first, the last`,
  },
];

const KEY_LABELS: Readonly<Record<string, string>> = {
  ArrowLeft: '←',
  ArrowRight: '→',
  ArrowUp: '↑',
  ArrowDown: '↓',
  Escape: 'Esc',
  ' ': 'Space',
};

/** How a key is written. */
export const keyText = (key: string): string => KEY_LABELS[key] ?? key;

/** The key as assistive technology is told of it. */
export const shortcutOf = ({ key, keyLabel }: Command): string =>
  key === 'arrowright' ? 'ArrowRight' : keyLabel;

/** What a button says of its command: "Train or pause (Space)". */
export const commandTip = ({ label, keyLabel }: Command): string => `${label()} (${keyLabel})`;

export function commandById(id: string): Command {
  return COMMANDS.find((command) => command.id === id)!;
}

/** Keys belong to the focused control where it uses them: text boxes take all, lists find by letters, buttons and sliders take some. */
function isTaken(event: KeyboardEvent): boolean {
  const target = event.target as HTMLElement | null;
  if (target === null || typeof target.closest !== 'function') return false;
  const takesAll =
    'input:not([type=checkbox]):not([type=radio]):not([type=range]), textarea, select, [contenteditable=true], [role=listbox], [aria-haspopup=listbox], [role=menu]';
  if (target.closest(takesAll)) return true;
  // What lies behind a dialog is not to be acted on; the sheet of keys is closed as it was opened.
  if (target.closest('[role=dialog]')) return event.key !== '?';
  const isPlain = event.key !== ' ' && !event.key.startsWith('Arrow');
  return !isPlain && target.closest('button, a, summary, input, [role=tab], [role=slider]') !== null;
}

/** Runs the command of a key press, if it has one and the focused control does not use the key itself. */
export function handleKey(page: Page, event: KeyboardEvent): void {
  if (event.ctrlKey || event.metaKey || event.altKey || event.defaultPrevented || isTaken(event)) return;
  const command = COMMANDS.find(({ key }) => key === event.key.toLowerCase());
  if (command === undefined || !command.isEnabled(page)) return;
  event.preventDefault();
  command.run(page);
}
