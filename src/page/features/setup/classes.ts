/** A classifier's report as training will have it: data of other classes brings a new last layer, which is as long as they are many. */
import type { DataSource, ModelReport } from '../../../protocol.ts';

/** Of embedded data, which is counted before any worker has drawn it. */
const EMBEDDED: Readonly<Record<string, number>> = { letters: 26, 'wild-digits': 10 };

/**
 * How many classes data has; null where that is not known yet, or where it has none.
 *
 * @param found classes that a preview of it found; null before there was one
 */
export function classesIn(data: DataSource | null, found: number | null): number | null {
  if (data?.kind === 'embedded') return EMBEDDED[data.name] ?? null;
  if (data?.kind === 'drawings') return data.classes.length;
  return found || null;
}

const reports = new WeakMap<ModelReport, Map<number, ModelReport>>();

/** The report with a classifier of `classes` rows; itself where it classifies nothing, or into as many. The same object at every call. */
export function reportFor(report: ModelReport | null, classes: number | null): ModelReport | null {
  const last = report?.modules.find(({ name }) => name === report.head);
  const classifies = report?.trains?.endsWith('-classification');
  if (!report || !last || !classifies || classes === null || classes === last.out) return report;
  const sized = reports.get(report) ?? new Map<number, ModelReport>();
  reports.set(report, sized);
  const known = sized.get(classes);
  if (known) return known;
  const parameters = (last.in + (last.hasBias ? 1 : 0)) * classes;
  const made: ModelReport = {
    ...report,
    parameters: report.parameters - last.parameters + parameters,
    modules: report.modules.map((one) => (one === last ? { ...last, out: classes, parameters } : one)),
  };
  sized.set(classes, made);
  return made;
}
