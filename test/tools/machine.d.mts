/** Types of machine.mjs. */
export type BrowserKind = 'chrome' | 'firefox';
export function findBrowser(kind: BrowserKind): string | undefined;
export function findPython(): string | undefined;
export function prepareMachine(log: (line: string) => void): string[];
