/** From what is chosen on the page to what the trainer is asked for. */
import { fail } from '../lib/errors.ts';
import type { DataOptions, DataSource, ModelSource, RunRequest } from '../training/protocol.ts';
import { isOwnRate, sameValue } from './settings.ts';
import type { ChoiceState } from './stores.ts';

export const DRAWING_SIZE = 32;

function modelSource({ settings, modelFiles, fetchedModel }: ChoiceState): ModelSource {
  if (settings.model === 'hub')
    return fetchedModel ?? fail('not-found', 'No model has been fetched yet: find one under Model.');
  if (settings.model !== 'own') return { kind: 'embedded', name: settings.model };
  if (!modelFiles.some(({ name }) => name.endsWith('.onnx')))
    fail(
      'malformed-onnx',
      'No model has been opened yet: drop an .onnx file (and the files beside it) under Model.',
    );
  return { kind: 'files', files: modelFiles };
}

function dataSource({ settings, dataFiles, fetchedData, text, drawings }: ChoiceState): DataSource {
  switch (settings.data) {
    case 'files':
      if (dataFiles.length === 0)
        fail(
          'bad-data',
          'No data has been dropped yet: add files under Data, or choose data that comes with Papilio.',
        );
      return { kind: 'files', files: dataFiles };
    case 'hub':
      return fetchedData ?? fail('not-found', 'No data has been fetched yet: find some under Data.');
    case 'text':
      if (text.trim() === '') fail('bad-data', 'There is no text yet: paste some under Data.');
      return { kind: 'text', text };
    case 'drawings': {
      const classes = drawings.filter(({ images }) => images.length > 0);
      if (classes.length < 2)
        fail(
          'bad-data',
          'Draw at least two classes, each a few times, so that there is something to tell apart.',
        );
      if (classes.some(({ images }) => images.length < 2))
        fail(
          'bad-data',
          'Each class needs at least two drawings: one to learn from and one to be tested on.',
        );
      return { kind: 'drawings', size: DRAWING_SIZE, classes };
    }
    default:
      return { kind: 'embedded', name: settings.data };
  }
}

/** Whether the model, or the data, is still to be chosen. */
export function isMissing(part: 'model' | 'data', choice: ChoiceState): boolean {
  try {
    (part === 'model' ? modelSource : dataSource)(choice);
    return false;
  } catch {
    return true;
  }
}

/** What keeps a run from starting, in the few words that stand beside the button; null when nothing does. */
export function obstacle(choice: ChoiceState, problem: string | null): string | null {
  if (isMissing('model', choice)) return 'waiting for a model';
  // Others may pass: a line that was down.
  if (['malformed-onnx', 'unsupported-onnx'].includes(choice.reportError?.kind ?? ''))
    return 'this model cannot be trained';
  if (isMissing('data', choice)) return 'waiting for data';
  return problem === null ? null : 'settings need a look';
}

/** What dropped and fetched data is read with; other data needs no telling. */
const optionsOf = ({ settings, dataOptions }: ChoiceState): DataOptions =>
  settings.data === 'files' || settings.data === 'hub' ? dataOptions : {};

/** Model and data as chosen. @throws PapilioError as {@link runRequest} */
export function sources(choice: ChoiceState): Pick<RunRequest, 'model' | 'data'> {
  const { precision } = choice;
  const options = optionsOf(choice);
  return {
    model: { ...modelSource(choice), ...(precision === 'file' ? {} : { precision }) },
    data: { ...dataSource(choice), ...(Object.keys(options).length === 0 ? {} : { options }) },
  };
}

/** Whether a request reads its model and data, or computes, otherwise than is chosen now; settings left out. */
export const runsOtherwise = ({ model, data, recompute = false }: RunRequest, choice: ChoiceState): boolean =>
  recompute !== choice.recompute ||
  (model.precision ?? 'file') !== choice.precision ||
  !sameValue(data.options ?? {}, optionsOf(choice));

/** @throws PapilioError 'bad-data' or 'malformed-onnx' when something is still missing. */
export function runRequest(choice: ChoiceState): RunRequest {
  const { settings, startFrom } = choice;
  return {
    ...sources(choice),
    method: settings.method,
    config: settings.config,
    training: settings.training,
    ...(isOwnRate(settings) ? { ownRate: true } : {}),
    ...(choice.recompute ? { recompute: true } : {}),
    ...(startFrom?.method === settings.method ? { adapter: startFrom.files } : {}),
  };
}

/** What the page has to choose so that its next request is this one, settings left out. */
export function choicesOf(request: RunRequest, run: string): Partial<ChoiceState> {
  const { adapter, method } = request;
  const { precision = 'file', ...model } = request.model;
  const { options = {}, ...data } = request.data;
  return {
    startFrom: adapter ? { name: `the adapter of ${run}`, method, files: adapter } : null,
    precision,
    recompute: request.recompute ?? false,
    dataOptions: options,
    ...(model.kind === 'files' ? { modelFiles: model.files } : {}),
    ...(data.kind === 'files' ? { dataFiles: data.files } : {}),
    ...(data.kind === 'text' ? { text: data.text } : {}),
    ...(data.kind === 'drawings' ? { drawings: data.classes } : {}),
    ...(model.kind === 'hub' || model.kind === 'url' ? { fetchedModel: model } : {}),
    ...(data.kind === 'hub' || data.kind === 'url' ? { fetchedData: data } : {}),
  };
}
