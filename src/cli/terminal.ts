/** The one way to standard output and standard error: what comes from files, models and servers is shown, never obeyed. */
import process from 'node:process';
import { visible } from '../lib/visible.ts';

/** Writes a result. */
export const print = (text: string): void => void process.stdout.write(visible(text));

/** A name from a file may be as long as the file; of such a line beginning and end are shown. */
const MOST_LINE = 4000;
const cut = (text: string): string =>
  text.length <= MOST_LINE
    ? text
    : text
        .split('\n')
        .map((line) =>
          line.length > MOST_LINE ? `${line.slice(0, MOST_LINE - 1000)} … ${line.slice(-500)}` : line,
        )
        .join('\n');

/** Writes what is said beside it. */
export const note = (text: string): void => void process.stderr.write(visible(cut(text)));

export const isTerminal = (): boolean => Boolean(process.stderr.isTTY);

export const columns = (): number => process.stderr.columns ?? 100;

const CLEAR = '\r\u001b[K';

/** Writes over the line of a progress bar, and ends it where `ends`. */
export const redraw = (line: string, ends = false): void =>
  void process.stderr.write(`${CLEAR}${visible(line)}${ends ? '\n' : ''}`);
