/**
 * The one way to standard output and standard error, progress bars included: what comes from files, models and servers is shown, never obeyed.
 */
import process from 'node:process';
import { visible } from '../common.ts';
import type { StepMetric } from '../protocol.ts';

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

const CLEAR = '\r\u001b[K';

/** Writes over the line of a progress bar, and ends it where `ends`. */
const redraw = (line: string, ends = false): void =>
  void process.stderr.write(`${CLEAR}${visible(line)}${ends ? '\n' : ''}`);

/** How far a long command is, on standard error: a bar on a terminal, elsewhere a line now and then. */
export interface ProgressBar {
  /** Shows `done` of `total` with a few words: the bar is redrawn at most ten times a second, a line comes at most every {@link LINE_EVERY_MS}. */
  update(done: number, total: number, words?: string): void;
  /** Prints a line above the bar. */
  log(line: string): void;
  /** Leaves the finished bar on the screen. */
  end(): void;
}

/** Milliseconds between two lines, and before the first. */
const LINE_EVERY_MS = 10_000;

/** What is said of a training step. */
export const wordsOf = ({ step, loss, seconds }: StepMetric): string =>
  `loss ${loss.toFixed(4)}, ${(seconds / step).toPrecision(2)} s a step`;

/** Seconds as "1:05" or "2:03:10". */
export function clock(seconds: number): string {
  const whole = Math.max(0, Math.round(seconds));
  const parts = [Math.floor(whole / 60) % 60, whole % 60].map((part) => String(part).padStart(2, '0'));
  return whole >= 3600 ? `${Math.floor(whole / 3600)}:${parts.join(':')}` : `${Number(parts[0])}:${parts[1]}`;
}

/** Text of one bar: label, bar, percentage, counts, time left, words; cut to `columns`. */
export function barText(
  label: string,
  done: number,
  total: number,
  elapsedSeconds: number,
  words: string,
  columns: number,
): string {
  const share = total > 0 ? Math.min(1, done / total) : 0;
  const width = 24;
  const filled = Math.round(share * width);
  const left = done > 0 ? clock((elapsedSeconds / done) * (total - done)) : '–';
  const bar = '█'.repeat(filled) + '░'.repeat(width - filled);
  const text = `${label} ${bar} ${Math.floor(share * 100)} %  ${done}/${total}  ${left} left  ${words.replaceAll('\n', ' ')}`;
  return text.slice(0, Math.max(1, columns - 1)).trimEnd();
}

export interface ProgressOptions {
  /** By default, whether standard error is a terminal. */
  readonly isTerminal?: boolean;
  /** No lines off a terminal, except those of `log`. */
  readonly isQuiet?: boolean;
}

/** A bar named `label`. */
export function progressBar(label: string, options: ProgressOptions = {}): ProgressBar {
  const { isTerminal: show = Boolean(process.stderr.isTTY), isQuiet = false } = options;
  const start = performance.now();
  let drawn = show ? Number.NEGATIVE_INFINITY : start;
  let latest = '';
  return {
    update(done, total, words = '') {
      const now = performance.now();
      if (!show) {
        if (isQuiet || now - drawn < LINE_EVERY_MS) return;
        drawn = now;
        note(`${`${label}: ${done} of ${total}  ${words}`.trimEnd()}\n`);
        return;
      }
      latest = barText(label, done, total, (now - start) / 1000, words, process.stderr.columns ?? 100);
      if (now - drawn < 100 && done < total) return;
      drawn = now;
      redraw(latest);
    },
    log(line) {
      if (!show) note(`${line}\n`);
      else {
        redraw(line, true);
        redraw(latest);
      }
    },
    end() {
      if (show) redraw(latest, true);
    },
  };
}
