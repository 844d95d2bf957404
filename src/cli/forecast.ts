/** A run's forecast in words, and forecast and measurement side by side. */
import type { Device } from '../engine.ts';
import type { Forecast, ForecastReport, RunRequest } from '../protocol.ts';
import { forecastReport, forecastSetup, limitsOf, mebibytes, probeSpeed, type RunSetup } from '../trainer.ts';
import { cliHost } from './sources.ts';

/** @param budget in bytes */
export async function forecastOf(
  device: Device,
  request: RunRequest,
  budget: number | undefined,
): Promise<ForecastReport> {
  const limits = limitsOf(device, budget);
  return forecastReport(request, cliHost, limits, await probeSpeed(device));
}

/** What the run that is about to start will take on this device. */
export const forecastBefore = async (device: Device, setup: RunSetup): Promise<Forecast> =>
  forecastSetup(setup, limitsOf(device), await probeSpeed(device));

const seconds = (s: number): string => (s < 1 ? `${Math.round(s * 1000)} ms` : `${s.toFixed(1)} s`);

export function describeForecast(report: ForecastReport): string[] {
  const { bytes, largest, refusal, secondsPerStep, dispatchesPerStep } = report;
  const lines = Number.isNaN(bytes.peak)
    ? []
    : [
        `GPU memory: ${mebibytes(bytes.peak)} - weights ${mebibytes(bytes.weights)}, activations ${mebibytes(bytes.activations)}, adapter ${mebibytes(bytes.adapter)}, optimiser ${mebibytes(bytes.optimiser)}, other ${mebibytes(bytes.other)}`,
        `largest buffer: ${mebibytes(largest.bytes)} (${largest.label})`,
        `a step: ${dispatchesPerStep} dispatches${secondsPerStep === null ? '' : `, about ${seconds(secondsPerStep)} on this device`}`,
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
  measured: { readonly peakBytes: number; readonly secondsPerStep: number },
): string {
  const steps =
    forecast.secondsPerStep === null
      ? ''
      : `; a step: forecast ${seconds(forecast.secondsPerStep)}, measured ${seconds(measured.secondsPerStep)}`;
  return `GPU memory: forecast ${mebibytes(forecast.bytes.peak)}, measured ${mebibytes(measured.peakBytes)}${steps}`;
}
