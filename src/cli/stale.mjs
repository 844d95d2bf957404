/** Decides whether something built is older than what it was built from. */
import { existsSync, readdirSync, statSync } from 'node:fs';
import { join } from 'node:path';

/** True when `target` is missing or older than the newest file in `sources` (files or folders that exist). */
export function isStale(target, sources) {
  return !existsSync(target) || Math.max(...sources.map(newest)) > statSync(target).mtimeMs;
}

/** Latest modification time (ms) of a file or of anything in a folder, names added or removed included; 0 when missing. */
function newest(path) {
  const stat = statSync(path, { throwIfNoEntry: false });
  if (!stat) return 0;
  if (!stat.isDirectory()) return stat.mtimeMs;
  return Math.max(stat.mtimeMs, ...readdirSync(path).map((name) => newest(join(path, name))));
}
