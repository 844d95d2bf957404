/**
 * The file of a recorded run, as `papilio record` writes it, and the run in it as the page shows any other: curve, scores, the inside of one module,
 * answers before and after. Arrays lie in it as base64 of their bytes, little-endian; ΔW in codes of 8 bits, everything else as it was measured.
 */
import { createStore, type StoreApi } from 'zustand/vanilla';
import { bytesOfBase64, say } from '../../../common.ts';
import { METHODS } from '../../../methods.ts';
import type { EvalMetric, ImageBeforeAfter, Inspection, OpenReport, StepMetric } from '../../../protocol.ts';
import { emptyRun, type RunView } from '../../stores.ts';
import { type Wiring, wiringOf } from '../butterfly/wiring.ts';
import { fullConfig, layersOf, type PageSettings } from '../setup/settings.ts';
import { newRun, type RunRecord } from '../training/runs.ts';
import { MEASURED, type Series } from '../training/series.ts';

/** Bytes as base64. */
type Coded = string;

export interface RecordedFile {
  readonly version: 1;
  /** Day of the run, 2026-11-29. */
  readonly date: string;
  /** What ran the program, and what computed in it. */
  readonly runtime: string;
  readonly hardware: string;
  /** SHA-256 of the model's file. */
  readonly modelSha256: string;
  readonly settings: PageSettings;
  readonly open: Omit<OpenReport, 'history'>;
  /** 32-bit floats, one a step. */
  readonly curve: Readonly<Record<(typeof MEASURED)[number], Coded>>;
  readonly evals: readonly EvalMetric[];
  readonly step: number;
  readonly inspection: {
    readonly module: string;
    readonly size: number;
    readonly orthogonality: number;
    readonly maxAngle: number;
    /** Blocks and angles of each factor, 32-bit floats. */
    readonly factors: readonly { readonly data: Coded; readonly angles: Coded }[];
    readonly delta: {
      readonly rows: number;
      readonly columns: number;
      readonly relative: number;
      /** The largest entry by size; `codes` are the entries in 127ths of it, rounded. */
      readonly largest: number;
      readonly codes: Coded;
    };
  };
  readonly comparison: {
    readonly labels: readonly string[];
    readonly width: number;
    readonly height: number;
    readonly truth: readonly number[];
    /** Of all examples one after the other: grey bytes, and a probability for each label. */
    readonly pixels: Coded;
    readonly before: Coded;
    readonly after: Coded;
  };
}

const floatsOf = (coded: Coded): Float32Array => new Float32Array(bytesOfBase64(coded).buffer);

/** R = B_(m−1) ⋯ B_0 [size, size] of the factors' blocks. */
export function productOf(
  { size, block, stages }: Wiring,
  factors: readonly { readonly data: Float32Array }[],
): Float32Array {
  let product = new Float32Array(size * size);
  for (let i = 0; i < size; i++) product[i * size + i] = 1;
  for (const [k, { members }] of stages.entries()) {
    const { data } = factors[k]!;
    const next = new Float32Array(size * size);
    for (let at = 0; at < size; at++) {
      const row = members[at]! * size;
      for (let c = 0; c < block; c++) {
        const entry = data[at * block + c]!;
        const from = members[at - (at % block) + c]! * size;
        for (let j = 0; j < size; j++) next[row + j]! += entry * product[from + j]!;
      }
    }
    product = next;
  }
  return product;
}

function inspectionOf({ inspection, settings, open }: RecordedFile): Inspection {
  const { module, size, orthogonality, maxAngle, delta } = inspection;
  const layer = layersOf(open.model).find(({ name }) => name === module)!;
  const method = METHODS[settings.method];
  const wiring = wiringOf(method.pattern(layer, fullConfig(settings, open.model)))!;
  const factors = inspection.factors.map(({ data, angles }) => ({
    data: floatsOf(data),
    angles: floatsOf(angles),
  }));
  const { rows, columns, relative, largest } = delta;
  const data = Float32Array.from(
    new Int8Array(bytesOfBase64(delta.codes).buffer),
    (code) => (code * largest) / 127,
  );
  return {
    module,
    method: settings.method,
    rotation: { size, data: productOf(wiring, factors), orthogonality, maxAngle },
    factors,
    delta: { rows, columns, relative, data },
  };
}

function comparisonOf({ comparison }: RecordedFile): ImageBeforeAfter {
  const { labels, width, height, truth } = comparison;
  const [pixels, before, after] = [
    bytesOfBase64(comparison.pixels),
    floatsOf(comparison.before),
    floatsOf(comparison.after),
  ];
  const [area, n] = [width * height, labels.length];
  return {
    kind: 'image',
    labels,
    examples: truth.map((label, i) => ({
      ...{ width, height, label },
      pixels: pixels.subarray(i * area, (i + 1) * area),
      before: before.subarray(i * n, (i + 1) * n),
      after: after.subarray(i * n, (i + 1) * n),
    })),
  };
}

function fill(series: Series, { curve, evals }: RecordedFile): void {
  const columns = MEASURED.map((name) => [name, floatsOf(curve[name])] as const);
  for (const metric of evals) series.addEval(metric);
  for (let i = 0; i < columns[0]![1].length; i++) {
    const row = Object.fromEntries(columns.map(([name, values]) => [name, values[i]!]));
    series.add({ step: i + 1, ...(row as Omit<StepMetric, 'step'>) });
  }
}

/** No run of a sitting has this number. */
const RECORDED_ID = -1;

/** The run as the page's own are: finished, with nobody to ask. */
export function runIn(file: RecordedFile): StoreApi<RunView> {
  const { settings, step, open } = file;
  const record: RunRecord = newRun(RECORDED_ID, settings, 0, say`recorded run`);
  fill(record.series, file);
  return createStore<RunView>(() => ({
    ...emptyRun,
    ...{ state: 'finished', current: record, runs: [record], saved: null, savedProblem: null },
    open: { ...open, history: { steps: [], evals: file.evals } },
    inspection: { step, value: inspectionOf(file) },
    comparison: { step, value: comparisonOf(file) },
  }));
}
