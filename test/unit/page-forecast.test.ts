/**
 * Forecasts as the page asks for them. Seen to fail: a way to fit that is not put into the settings, a forecast of other settings beside
 * a run's measurement, rounding that outlives its model.
 */
import { describe, expect, test } from 'vitest';
import { choicesOf, isOtherRun, runRequest, withPrecision } from '../../src/page/features/setup/choice.ts';
import { baseSettings } from '../../src/page/features/setup/settings.ts';
import { createForecast } from '../../src/page/features/training/forecast.ts';
import { newRun } from '../../src/page/features/training/runs.ts';
import { createStores } from '../../src/page/stores.ts';
import type { DataOptions, ForecastReport, RunRequest } from '../../src/training/protocol.ts';
import { input, lockIn, visionReport } from './page-fixtures.ts';

const file = (name: string) => ({ name, bytes: Uint8Array.of(1) });
const settle = (ms = 5) => new Promise((resolve) => setTimeout(resolve, ms));

const reportOf = (peak: number): ForecastReport => ({
  engine: 'webgpu',
  bytes: { weights: 1, adapter: 1, optimiser: 1, activations: 1, other: 1, peak },
  dispatchesPerStep: 10,
  secondsPerStep: 0.1,
  largest: { bytes: 1, label: 'w' },
  refusal: null,
  limitBytes: null,
  bufferLimitBytes: 1000,
  weightBytes: { file: 4, f16: 2, q4: 1 },
  ways: [],
});

function setUp(model: 'own' | 'glyphs-vit') {
  const stores = createStores();
  const asked: { request: RunRequest; budget: number | undefined }[] = [];
  const waiting: ((report: ForecastReport) => void)[] = [];
  const forecast = createForecast(
    stores,
    {
      forecast: (request, budget) => {
        asked.push({ request, budget });
        return new Promise((resolve) => waiting.push(resolve));
      },
    },
    0,
  );
  stores.ui.setState({ gpu: { state: 'ready' } as never });
  stores.choice.setState({
    settings: baseSettings('letters-boft', { model }),
    report: visionReport(),
  });
  input(stores, { modelFiles: [file('model.onnx')] });
  return { ...stores, forecast, asked, waiting };
}

describe('a forecast', () => {
  test('of a person’s own model comes by itself once there is data; of an embedded one when asked for', async () => {
    const own = setUp('own');
    await settle();
    expect(own.asked).toHaveLength(0);
    input(own, { dataFiles: [file('a.csv')] });
    await settle();
    expect(own.asked).toHaveLength(1);
    const embedded = setUp('glyphs-vit');
    await settle();
    expect(embedded.asked).toHaveLength(0);
    void embedded.forecast.ask();
    embedded.waiting[0]!(reportOf(7));
    await settle();
    expect(embedded.forecast.view.getState().report?.bytes.peak).toBe(7);
    // What is on screen follows the settings.
    embedded.forecast.setBudget(5);
    expect(embedded.asked[1]!.budget).toBe(5);
  });

  test('that does not fit changes nothing that a lesson holds', () => {
    const stores = setUp('glyphs-vit');
    const before = stores.choice.getState();
    const way = { what: 'less', peakBytes: 1, change: { batchSize: 2, gradientAccumulation: 4 } };
    lockIn(stores, 't.batchSize');
    stores.forecast.apply(way);
    expect(stores.choice.getState()).toBe(before);
    expect(stores.ui.getState().notice).toBe('The lesson keeps as it is: Batch size.');
    lockIn(stores, 't.seed');
    stores.forecast.apply(way);
    expect(stores.choice.getState().settings.training).toMatchObject(way.change);
  });

  test('that does not fit offers ways, which change the settings of the next run', () => {
    const { forecast, choice } = setUp('glyphs-vit');
    forecast.apply({
      what: 'less',
      peakBytes: 1,
      change: {
        batchSize: 2,
        gradientAccumulation: 4,
        precision: 'q4',
        recompute: true,
        modules: ['a.query'],
      },
    });
    const request = runRequest(choice.getState());
    expect(request.training).toMatchObject({ batchSize: 2, gradientAccumulation: 4 });
    expect(request.config.target_modules).toEqual(['a.query']);
    expect(request.model.precision).toBe('q4');
    expect(request.recompute).toBe(true);
  });

  test('stands beside a run of the same settings only', async () => {
    const { forecast, choice, run, waiting } = setUp('glyphs-vit');
    const begin = (id: number) => run.setState({ current: newRun(id, choice.getState().settings, 0) });
    void forecast.ask();
    waiting[0]!(reportOf(7));
    await settle();
    begin(1);
    expect(forecast.view.getState().ofRun).toMatchObject({ id: 1, report: { bytes: { peak: 7 } } });
    choice.setState((s) => ({
      settings: { ...s.settings, training: { ...s.settings.training, batchSize: 1 } },
    }));
    expect(forecast.view.getState().isStale).toBe(true);
    begin(2);
    expect(forecast.view.getState().ofRun).toBeNull();
    // One that was still being made when the run began counts.
    run.setState({ current: null });
    void forecast.ask();
    begin(3);
    waiting[1]!(reportOf(8));
    await settle();
    expect(forecast.view.getState().ofRun).toMatchObject({ id: 3, report: { bytes: { peak: 8 } } });
  });

  test('and rounding go with the model they were made for', () => {
    const { choice } = setUp('own');
    choice.setState(({ model }) => ({ model: withPrecision(model, 'f16'), recompute: true }));
    expect(choice.getState().model?.precision).toBe('f16');
    input({ choice }, { modelFiles: [file('other.onnx')] });
    expect(choice.getState()).toMatchObject({ recompute: false });
    expect(choice.getState().model).not.toHaveProperty('precision');
    const resumed = { kind: 'files', files: [file('third.onnx')], precision: 'q4' } as const;
    choice.setState(({ inputs }) => ({ model: resumed, inputs: { ...inputs, modelFiles: resumed.files } }));
    expect(choice.getState().model).toBe(resumed);
  });
});

test('a request and what is chosen are told apart, and a request chooses itself again', () => {
  const { choice } = setUp('own');
  choice.setState({ settings: baseSettings('own-model') });
  input({ choice }, { dataFiles: [file('a.csv')] });
  const mapped = (text: string) => ({ mapping: { text } });
  choice.setState(({ model }) => ({
    model: withPrecision(model, 'f16'),
    reading: mapped('x'),
  }));
  const chosen = choice.getState();
  const request = runRequest(chosen);
  expect(isOtherRun(request, chosen)).toBe(false);
  const read = (reading: DataOptions) => ({ data: { ...chosen.data!, options: reading } });
  expect(isOtherRun(request, { ...chosen, ...read(mapped('x')) })).toBe(false);
  for (const change of [
    { model: withPrecision(chosen.model, 'file') },
    read(mapped('y')),
    read({}),
    { recompute: true },
  ])
    expect(isOtherRun(request, { ...chosen, ...change })).toBe(true);
  const fresh = createStores().choice;
  fresh.setState(({ inputs }) => ({ settings: chosen.settings, ...choicesOf(request, 'run', inputs) }));
  expect(runRequest(fresh.getState())).toEqual(request);
  // What is chosen next to it leaves model and data what they are.
  fresh.setState({ settings: { ...chosen.settings, config: { r: 2 } } });
  expect(fresh.getState()).toMatchObject({ model: request.model, data: request.data });
});

test('what does not change keeps its identity', () => {
  const { choice } = setUp('own');
  choice.setState({ settings: baseSettings('own-model', { data: 'drawings' }) });
  const images = [new Float32Array(4), new Float32Array(4)];
  input({ choice }, { drawings: ['a', 'b', 'c'].map((label) => ({ label, images })) });
  const { model, data } = choice.getState();
  expect(data).toMatchObject({ kind: 'drawings' });
  choice.setState((s) => ({ settings: { ...s.settings, training: { ...s.settings.training, seed: 9 } } }));
  input({ choice }, { text: 'Once.' });
  expect(choice.getState().model).toBe(model);
  expect(choice.getState().data).toBe(data);
  input({ choice }, { drawings: [] });
  expect(choice.getState().data).toBeNull();
  choice.setState((s) => ({ settings: { ...s.settings, data: 'text' } }));
  expect(choice.getState()).toMatchObject({ model, data: { kind: 'text', text: 'Once.' } });
});
