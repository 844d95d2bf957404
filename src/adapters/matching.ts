/**
 * PEFT's rule for one module name: exclusions, modules_to_save, expression or list of targets, layer filter - in PEFT's order and
 * with its surprises (full names and expressions bypass the layer filter; layer numbers need a segment and a dot before them).
 */
import type { CommonConfig } from './fields.ts';
import { fullMatcher, prefixMatcher, prefixSearch } from './pythonRegex.ts';

export type Match = 'target' | 'excluded' | 'other';

type Test = (name: string) => boolean;

/** Modules that a task's model class adds to modules_to_save. */
const TASK_HEADS: Readonly<Record<string, readonly string[]>> = {
  SEQ_CLS: ['classifier', 'score'],
  TOKEN_CLS: ['classifier', 'score'],
  QUESTION_ANS: ['qa_outputs'],
};

/** modules_to_save with what the task adds, each once. */
export function savedEntries(config: Pick<CommonConfig, 'modules_to_save' | 'task_type'>): string[] {
  return [...new Set([...(config.modules_to_save ?? []), ...(TASK_HEADS[config.task_type ?? ''] ?? [])])];
}

/** The rule of a whole configuration. Throws PapilioError 'illegal-config' for an expression that cannot be read. */
export function moduleMatcher(config: CommonConfig): (name: string) => Match {
  const excluded = excludedTest(config);
  const targets = config.target_modules ?? [];
  const target =
    typeof targets === 'string'
      ? fullMatcher(targets, 'target_modules')
      : listTest(targets, layerTest(config));
  return (name) => (excluded(name) ? 'excluded' : target(name) ? 'target' : 'other');
}

/** The rule of one list entry alone, exclusions and layer filter included. */
export function entryMatcher(entry: string, config: CommonConfig): Test {
  const excluded = excludedTest(config);
  const target = listTest([entry], layerTest(config));
  return (name) => !excluded(name) && target(name);
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

function excludedTest(config: CommonConfig): Test {
  const exclude = config.exclude_modules ?? [];
  const byName = typeof exclude === 'string' ? fullMatcher(exclude, 'exclude_modules') : suffixTest(exclude);
  const saved = savedEntries(config).map((entry) =>
    prefixMatcher(entry, 'modules_to_save', '(^|.*\\.)', '($|\\..*)'),
  );
  return (name) => byName(name) || saved.some((test) => test(name));
}

function suffixTest(entries: readonly string[]): Test {
  return (name) => entries.some((entry) => name === entry || name.endsWith(`.${entry}`));
}

function listTest(entries: readonly string[], inLayers: Test): Test {
  const exact = new Set(entries);
  return (name) => exact.has(name) || (entries.some((entry) => name.endsWith(`.${entry}`)) && inLayers(name));
}

function layerTest(config: CommonConfig): Test {
  const wanted = config.layers_to_transform ?? null;
  if (wanted === null || (Array.isArray(wanted) && wanted.length === 0)) return () => true;
  const indices = new Set(Array.isArray(wanted) ? wanted : [wanted]);
  const given = config.layers_pattern ?? [];
  const patterns = (typeof given === 'string' ? [given] : given).filter((pattern) => pattern !== '');
  const sources = patterns.length > 0 ? patterns : ['[^.]*'];
  const finders = sources.map((source) =>
    prefixSearch(source, 'layers_pattern', '.*?\\.', '\\.(?<layer_number>\\d+)\\.'),
  );
  return (name) => {
    for (const finder of finders) {
      const found = finder(name);
      if (found) return indices.has(Number(found.groups!.layer_number));
    }
    return false;
  };
}
