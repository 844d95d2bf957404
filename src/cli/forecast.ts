/** A run's forecast in words, and forecast and measurement side by side. */
import type { Forecast, ForecastReport, RunRequest } from '../protocol.ts';
import {
  type Backend,
  forecastReport,
  forecastSetup,
  limitsOf,
  mebibytes,
  type RunSetup,
  stepTimer,
} from '../trainer.ts';
import { cliHost } from './sources.ts';

/** @param budget in bytes */
export async function forecastOf(
  on: Backend,
  request: RunRequest,
  budget: number | undefined,
): Promise<ForecastReport> {
  return forecastReport(request, cliHost, limitsOf(on, budget), stepTimer(on));
}

/** What the run that is about to start will take. */
export const forecastBefore = async (on: Backend, setup: RunSetup): Promise<Forecast> =>
  forecastSetup(setup, limitsOf(on), stepTimer(on));

const seconds = (s: number): string => (s < 1 ? `${Math.round(s * 1000)} ms` : `${s.toFixed(1)} s`);

const memoryOf = ({ dispatchesPerStep }: Pick<Forecast, 'dispatchesPerStep'>): string =>
  dispatchesPerStep === null ? 'memory' : 'GPU memory';

function stepOf({ secondsPerStep, dispatchesPerStep }: Forecast): string[] {
  const parts = [
    ...(dispatchesPerStep === null ? [] : [`${dispatchesPerStep} dispatches`]),
    ...(secondsPerStep === null ? [] : [`about ${seconds(secondsPerStep)} on this device`]),
  ];
  return parts.length === 0 ? [] : [`a step: ${parts.join(', ')}`];
}

export function describeForecast(report: ForecastReport): string[] {
  const { bytes, largest, refusal } = report;
  const lines = Number.isNaN(bytes.peak)
    ? []
    : [
        `${memoryOf(report)}: ${mebibytes(bytes.peak)} - weights ${mebibytes(bytes.weights)}, activations ${mebibytes(bytes.activations)}, adapter ${mebibytes(bytes.adapter)}, optimiser ${mebibytes(bytes.optimiser)}, other ${mebibytes(bytes.other)}`,
        `largest buffer: ${mebibytes(largest.bytes)} (${largest.label})`,
        ...stepOf(report),
      ];
  if (refusal !== null) lines.push(`It does not fit. ${refusal}`);
  for (const way of report.ways) lines.push(`fits with ${way.what}: ${mebibytes(way.peakBytes)}`);
  if (refusal !== null && report.ways.length === 0)
    lines.push('No smaller batch, shorter text or lower precision makes it fit; choose a smaller model.');
  return lines;
}

/** One line: what was forecast, what was measured. */
export function sideBySide(
  forecast: Forecast,
  measured: { readonly peakBytes: number | null; readonly secondsPerStep: number },
): string {
  const { bytes, secondsPerStep } = forecast;
  const memory = `${memoryOf(forecast)}: forecast ${mebibytes(bytes.peak)}`;
  return [
    measured.peakBytes === null ? memory : `${memory}, measured ${mebibytes(measured.peakBytes)}`,
    ...(secondsPerStep === null
      ? []
      : [`a step: forecast ${seconds(secondsPerStep)}, measured ${seconds(measured.secondsPerStep)}`]),
  ].join('; ');
}
