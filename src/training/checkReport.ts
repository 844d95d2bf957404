/** What a check of the device found, in figures and sentences. */
import { local, paragraph, say, whole } from '../lib/say.ts';
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

/** What the device says of itself, and its limits. */
export type DeviceFacts =
  | {
      readonly engine: 'webgpu';
      readonly isSoftware: boolean;
      /** Empty where it has no name. */
      readonly device: string;
      readonly bufferBytes: number;
      readonly bindingBytes: number;
      readonly bindings: number;
      readonly workgroupBytes: number;
      readonly invocations: number;
      readonly timestamps: boolean;
      readonly features: readonly string[];
    }
  | {
      readonly engine: 'onnxruntime';
      readonly device: string;
      readonly threads: number;
      readonly memoryBytes: number;
    };

export interface DeviceCheckReport {
  readonly engine: EngineName;
  readonly facts: DeviceFacts;
  readonly rows: readonly OpCheckRow[];
  /** Why it came to an end before the last op; null where it did not. */
  readonly ended:
    | { readonly why: 'lost'; readonly op: string; readonly message: string }
    | { readonly why: 'stopped' }
    /** So many cases in a row got no answer. */
    | { readonly why: 'silent'; readonly cases: number }
    | null;
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
export const CHECK_FIGURES = ['forward', 'gradient-reference', 'gradient-engine'] as const;

export const checkTitle = (kind: CheckKind): string =>
  ({
    compiles: say`compiles`,
    forward: say`against float64`,
    'gradient-reference': say`gradient rule against differences`,
    'gradient-engine': say`gradient against float64`,
  })[kind];

/** "2.1e-7 of 2.0e-5"; "–" where there is none. */
export const marginText = (worst: WorstCheck | undefined): string =>
  worst === undefined
    ? '–'
    : say`${local(worst.error.toExponential(1))} of ${local(worst.tolerance.toExponential(1))}`;

/** One line for a failed check. */
export const describeCheck = (r: CheckResult): string =>
  `${r.op} / ${r.case} / ${r.what}: error ${r.error.toExponential(2)} over ${r.tolerance.toExponential(1)}: ${r.message ?? ''}`;

/** Why it came to an end before the last op, if it did. */
export function whyEnded(ended: DeviceCheckReport['ended']): readonly string[] {
  if (ended === null) return [];
  if (ended.why === 'stopped') return [say`It was stopped early.`];
  return ended.why === 'lost'
    ? [say`The device was lost in ${ended.op}: ${ended.message}`]
    : [say`${ended.cases} cases in a row got no answer, so the others were not asked.`];
}

/** What came of all of it, in sentences. */
export function checkVerdict({ rows, ended }: Pick<DeviceCheckReport, 'rows' | 'ended'>): string {
  const checks = rows.reduce((n, row) => n + row.checks, 0);
  const failed = rows.reduce((n, row) => n + row.failures.length, 0);
  return paragraph([
    failed === 0
      ? say`Every one of ${whole(checks)} checks of ${rows.length} ops passed.`
      : say`${whole(failed)} of ${whole(checks)} checks of ${rows.length} ops failed.`,
    ...whyEnded(ended),
  ]);
}
