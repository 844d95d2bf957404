/** Every command of the page, once: buttons, the key map and the help sheet read this table. */
import type { Page } from './page.ts';

export interface Command {
  readonly id: string;
  readonly label: string;
  /** KeyboardEvent.key, lower case. */
  readonly key: string;
  /** How the key is shown. */
  readonly keyLabel: string;
  isEnabled(page: Page): boolean;
  run(page: Page): void;
}

const hasRun = ({ run }: Page): boolean => run.getState().current !== null;
const always = (): boolean => true;

const panel = (key: string, name: 'choose' | 'train' | 'see', label: string): Command => ({
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
    label: 'Train or pause',
    key: ' ',
    keyLabel: 'Space',
    isEnabled: (page) => page.canTrain() && page.run.getState().state !== 'finished',
    run: (page) => void page.controller.toggle(),
  },
  {
    id: 'step',
    label: 'One step',
    key: 'arrowright',
    keyLabel: '→',
    isEnabled: (page) => page.canTrain() && page.run.getState().state !== 'finished',
    run: (page) => void page.controller.step(),
  },
  {
    id: 'reset',
    label: 'Reset (can be undone)',
    key: 'r',
    keyLabel: 'R',
    isEnabled: hasRun,
    run: (page) => void page.controller.reset(),
  },
  {
    id: 'save',
    label: 'Keep a checkpoint now',
    key: 's',
    keyLabel: 'S',
    isEnabled: hasRun,
    run: (page) => void page.controller.save(),
  },
  {
    id: 'targets',
    label: 'Write target modules',
    key: '/',
    keyLabel: '/',
    isEnabled: always,
    run: (page) => page.show('targets', 'target-box'),
  },
  panel('1', 'choose', 'Go to Choose'),
  panel('2', 'train', 'Go to Train'),
  panel('3', 'see', 'Go to See'),
  {
    id: 'fewer-factors',
    label: 'Multiply one factor less',
    key: '[',
    keyLabel: '[',
    isEnabled: always,
    run: (page) => page.moveFactors(-1),
  },
  {
    id: 'more-factors',
    label: 'Multiply one factor more',
    key: ']',
    keyLabel: ']',
    isEnabled: always,
    run: (page) => page.moveFactors(1),
  },
  {
    id: 'help',
    label: 'Keyboard help',
    key: '?',
    keyLabel: '?',
    isEnabled: always,
    run: ({ ui }) => ui.setState((s) => ({ isHelpOpen: !s.isHelpOpen })),
  },
];

export function commandById(id: string): Command {
  return COMMANDS.find((command) => command.id === id)!;
}

/** Keys belong to the focused control where it uses them: text boxes take all, buttons and sliders some. */
function isTaken(event: KeyboardEvent): boolean {
  const target = event.target as HTMLElement | null;
  if (target === null || typeof target.closest !== 'function') return false;
  if (
    target.closest('input:not([type=checkbox]):not([type=radio]), textarea, select, [contenteditable=true]')
  )
    return true;
  const isPlain = event.key !== ' ' && !event.key.startsWith('Arrow');
  return (
    !isPlain &&
    target.closest('button, a, summary, input, [role=tab], [role=slider], [role=listbox], [role=dialog]') !==
      null
  );
}

/** Runs the command of a key press, if it has one and the focused control does not use the key itself. */
export function handleKey(page: Page, event: KeyboardEvent): void {
  if (event.ctrlKey || event.metaKey || event.altKey || event.defaultPrevented || isTaken(event)) return;
  const command = COMMANDS.find(({ key }) => key === event.key.toLowerCase());
  if (command === undefined || !command.isEnabled(page)) return;
  event.preventDefault();
  command.run(page);
}
