/** What a check of the device found, and the same as a text to copy into a report of a bug. */
import type { EngineName } from './words.ts';

export type CheckKind = 'compiles' | 'forward' | 'gradient-reference' | 'gradient-engine';

export interface CheckResult {
  readonly op: string;
  readonly case: string;
  readonly what: CheckKind;
  readonly error: number;
  readonly tolerance: number;
  readonly ok: boolean;
  /** What failed, where. */
  readonly message?: string;
}

/** One kind of check of an op: of all its cases the one that came nearest to its tolerance, or went furthest beyond. */
export type WorstCheck = Pick<CheckResult, 'error' | 'tolerance' | 'case'>;

export interface OpCheckRow {
  readonly op: string;
  readonly cases: number;
  readonly checks: number;
  /** By kind; what the op does not have, or this engine not, is left out. */
  readonly worst: Readonly<Partial<Record<CheckKind, WorstCheck>>>;
  readonly failures: readonly CheckResult[];
  /** Why something of it cannot be checked on this engine. */
  readonly left: readonly string[];
}

export interface DeviceCheckReport {
  readonly engine: EngineName;
  /** By name: what the device says of itself, and its limits. */
  readonly facts: Readonly<Record<string, string>>;
  readonly rows: readonly OpCheckRow[];
  /** Why it came to an end before the last op; null where it did not. */
  readonly ended: string | null;
  readonly seconds: number;
}

export type DeviceCheckEvent =
  | {
      readonly type: 'case';
      readonly op: string;
      readonly case: string;
      readonly done: number;
      readonly total: number;
    }
  | { readonly type: 'row'; readonly row: OpCheckRow };

/** The kinds that have a figure; of compiling there are only messages. */
export const CHECK_FIGURES: Readonly<Record<Exclude<CheckKind, 'compiles'>, string>> = {
  forward: 'against float64',
  'gradient-reference': 'gradient rule against differences',
  'gradient-engine': 'gradient against float64',
};

/** "2.1e-7 of 2.0e-5"; "–" where there is none. */
export const marginText = (worst: WorstCheck | undefined): string =>
  worst === undefined ? '–' : `${worst.error.toExponential(1)} of ${worst.tolerance.toExponential(1)}`;

/** One line for a failed check. */
export const describeCheck = (r: CheckResult): string =>
  `${r.op} / ${r.case} / ${r.what}: error ${r.error.toExponential(2)} over ${r.tolerance.toExponential(1)}: ${r.message ?? ''}`;

/** What came of all of it, in one sentence. */
export function checkVerdict({ rows, ended }: Pick<DeviceCheckReport, 'rows' | 'ended'>): string {
  const checks = rows.reduce((n, row) => n + row.checks, 0);
  const failed = rows.reduce((n, row) => n + row.failures.length, 0);
  const of = `${checks.toLocaleString('en-GB')} checks of ${rows.length} ops`;
  const found =
    failed === 0 ? `Every one of ${of} passed` : `${failed.toLocaleString('en-GB')} of ${of} failed`;
  return `${found}${ended === null ? '' : `; ${ended}`}.`;
}

/**
 * The whole report as Markdown.
 *
 * @param about further facts by name: the browser, the page's version
 */
export function deviceCheckText(report: DeviceCheckReport, about: Readonly<Record<string, string>>): string {
  const { facts, rows, seconds } = report;
  const kinds = Object.entries(CHECK_FIGURES) as [Exclude<CheckKind, 'compiles'>, string][];
  const cell = (text: string) => text.replaceAll('|', '\\|').replaceAll('\n', ' ');
  const failures = rows.flatMap((row) => row.failures);
  const left = rows.filter((row) => row.left.length > 0);
  return [
    '# Papilio: check of a device',
    '',
    ...Object.entries({ ...about, ...facts }).map(([name, value]) => `- ${name}: ${value}`),
    `- Took: ${seconds.toFixed(0)} s`,
    '',
    checkVerdict(report),
    '',
    'Each figure is the largest error over the largest number of the reference, of the allowed one.',
    '',
    `| op | cases | checks | failed | ${kinds.map(([, title]) => title).join(' | ')} |`,
    `| --- | ---: | ---: | ---: |${kinds.map(() => ' ---: |').join('')}`,
    ...rows.map(
      ({ op, cases, checks, failures: own, worst }) =>
        `| ${op} | ${cases} | ${checks} | ${own.length} | ${kinds.map(([kind]) => marginText(worst[kind])).join(' | ')} |`,
    ),
    ...(failures.length === 0
      ? []
      : ['', '## What failed', '', ...failures.map((r) => `- ${cell(describeCheck(r))}`)]),
    ...(left.length === 0
      ? []
      : [
          '',
          '## What this engine cannot be asked',
          '',
          ...left.flatMap((row) => row.left.map((reason) => `- ${row.op}: ${cell(reason)}`)),
        ]),
    '',
  ].join('\n');
}
