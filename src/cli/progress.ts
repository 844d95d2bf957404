/** A progress bar on the terminal (standard error); silent when the output goes to a file or pipe. */
import process from 'node:process';

export interface ProgressBar {
  /** Shows `done` of `total` with a few words; redrawn at most ten times a second. */
  update(done: number, total: number, words?: string): void;
  /** Prints a line above the bar. */
  log(line: string): void;
  /** Leaves the finished bar on the screen. */
  end(): void;
}

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
  const text = `${label} ${bar} ${Math.floor(share * 100)} %  ${done}/${total}  ${left} left  ${words}`;
  return text.slice(0, Math.max(1, columns - 1)).trimEnd();
}

/** A bar named `label`. `show` is by default whether standard error is a terminal; off, only `log` writes. */
export function progressBar(label: string, show = Boolean(process.stderr.isTTY)): ProgressBar {
  const start = performance.now();
  let drawn = Number.NEGATIVE_INFINITY;
  let latest = '';
  const clear = '\r\u001b[K';
  return {
    update(done, total, words = '') {
      if (!show) return;
      const now = performance.now();
      latest = barText(label, done, total, (now - start) / 1000, words, process.stderr.columns ?? 100);
      if (now - drawn < 100 && done < total) return;
      drawn = now;
      process.stderr.write(clear + latest);
    },
    log(line) {
      process.stderr.write(show ? `${clear}${line}\n${latest}` : `${line}\n`);
    },
    end() {
      if (show) process.stderr.write(`${clear}${latest}\n`);
    },
  };
}
