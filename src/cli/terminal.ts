/** The one way to standard output and standard error: what comes from files, models and servers is shown, never obeyed. */
import process from 'node:process';
import { visible } from '../lib/visible.ts';

/** Writes a result. */
export const print = (text: string): void => void process.stdout.write(visible(text));

/** Writes what is said beside it. */
export const note = (text: string): void => void process.stderr.write(visible(text));

export const isTerminal = (): boolean => Boolean(process.stderr.isTTY);

export const columns = (): number => process.stderr.columns ?? 100;

const CLEAR = '\r\u001b[K';

/** Writes over the line of a progress bar, and ends it where `ends`. */
export const redraw = (line: string, ends = false): void =>
  void process.stderr.write(`${CLEAR}${visible(line)}${ends ? '\n' : ''}`);
