/**
 * PEFT's rule for one module name: exclusions, modules_to_save, expression or list of targets, layer filter - in PEFT's order and
 * with its surprises (full names and expressions bypass the layer filter; layer numbers need a segment and a dot before them).
 */
import { Allowance, fullMatcher, prefixGroup, prefixMatcher } from './expressions.ts';
import type { CommonConfig } from './fields.ts';

export type Match = 'target' | 'excluded' | 'other';

type Test = (name: string) => boolean;

/** Modules that a task's model class adds to modules_to_save. */
const TASK_HEADS: ReadonlyMap<string | null, readonly string[]> = new Map(
  Object.entries({
    SEQ_CLS: ['classifier', 'score'],
    TOKEN_CLS: ['classifier', 'score'],
    QUESTION_ANS: ['qa_outputs'],
  }),
);

/** modules_to_save with what the task adds, each once. */
export function savedEntries(config: Pick<CommonConfig, 'modules_to_save' | 'task_type'>): string[] {
  return [...new Set([...(config.modules_to_save ?? []), ...(TASK_HEADS.get(config.task_type) ?? [])])];
}

/** The rule of a whole configuration. Throws PapilioError 'illegal-config' for an expression that cannot be read. */
export function moduleMatcher(config: CommonConfig): (name: string) => Match {
  const allowance = new Allowance();
  const excluded = excludedTest(config, allowance);
  const targets = config.target_modules ?? [];
  const target =
    typeof targets === 'string'
      ? fullMatcher(targets, 'target_modules', allowance)
      : listTest(targets, layerTest(config, allowance));
  return (name) => (excluded(name) ? 'excluded' : target(name) ? 'target' : 'other');
}

/** How many of the names each list entry alone targets, exclusions and layer filter included. */
export function countByEntry(
  entries: readonly string[],
  config: CommonConfig,
  names: readonly string[],
): Map<string, number> {
  const allowance = new Allowance();
  const excluded = excludedTest(config, allowance);
  const inLayers = layerTest(config, allowance);
  const counts = new Map(entries.map((entry) => [entry, 0]));
  for (const name of names) {
    const found = endings(name).filter((ending) => counts.has(ending));
    if (found.length === 0 || excluded(name)) continue;
    // The layer filter does not concern a full name.
    for (const entry of found)
      if (entry === name || inLayers(name)) counts.set(entry, counts.get(entry)! + 1);
  }
  return counts;
}

/** Whether a module or one that contains it is saved whole. Its name only has to end with an entry, dot or not. */
export function savedTest(entries: readonly string[]): Test {
  return (name) => {
    for (let end = name.length; end > 0; end = name.lastIndexOf('.', end - 1)) {
      const path = name.slice(0, end);
      if (entries.some((entry) => path.endsWith(entry))) return true;
    }
    return false;
  };
}

function excludedTest(config: CommonConfig, allowance: Allowance): Test {
  const exclude = config.exclude_modules ?? [];
  const byName =
    typeof exclude === 'string' ? fullMatcher(exclude, 'exclude_modules', allowance) : suffixTest(exclude);
  const saved = savedEntries(config).map((entry) =>
    prefixMatcher(entry, 'modules_to_save', ['(^|.*\\.)', '($|\\..*)'], allowance),
  );
  return (name) => byName(name) || saved.some((test) => test(name));
}

/** The name, and what of it follows each of its dots. */
function endings(name: string): string[] {
  const found = [name];
  for (let dot = name.indexOf('.'); dot >= 0; dot = name.indexOf('.', dot + 1))
    found.push(name.slice(dot + 1));
  return found;
}

function suffixTest(entries: readonly string[]): Test {
  const listed = new Set(entries);
  return (name) => endings(name).some((ending) => listed.has(ending));
}

function listTest(entries: readonly string[], inLayers: Test): Test {
  const exact = new Set(entries);
  const bySuffix = suffixTest(entries);
  return (name) => exact.has(name) || (bySuffix(name) && inLayers(name));
}

function layerTest(config: CommonConfig, allowance: Allowance): Test {
  const wanted = config.layers_to_transform ?? null;
  if (wanted === null || (Array.isArray(wanted) && wanted.length === 0)) return () => true;
  const indices = new Set(Array.isArray(wanted) ? wanted : [wanted]);
  const given = config.layers_pattern ?? [];
  const patterns = (typeof given === 'string' ? [given] : given).filter((pattern) => pattern !== '');
  const sources = patterns.length > 0 ? patterns : ['[^.]*'];
  const around = ['.*?\\.', '\\.(?P<layer_number>\\d+)\\.'] as const;
  const finders = sources.map((source) =>
    prefixGroup('layer_number', source, 'layers_pattern', around, allowance),
  );
  return (name) => {
    for (const finder of finders) {
      const found = finder(name);
      // A group that took no part has no number.
      if (found !== null) return indices.has(Number(found || Number.NaN));
    }
    return false;
  };
}
