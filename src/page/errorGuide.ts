/** For every kind of error: its heading, where on the page it belongs, and the ways on. */
import type { ErrorKind } from '../common.ts';
import type { PanelName } from './stores.ts';

export interface Guide {
  readonly title: string;
  readonly panel: PanelName;
  readonly actions: readonly ActionId[];
}

export const ACTION_LABELS = {
  resume: 'Resume from the last checkpoint',
  'halve-rate': 'Halve the learning rate and go on',
  'halve-batch': 'Halve the batch and start again',
  'download-checkpoint': 'Download the checkpoint',
  retry: 'Try again',
  'show-model': 'Choose another model',
  'show-data': 'Change the data',
  'show-targets': 'Show the targets',
  'show-method': 'Show the settings',
  'show-training': 'Show the training settings',
  reset: 'Start over',
  copy: 'Copy the details',
} as const;

export type ActionId = keyof typeof ACTION_LABELS;

const guide = (title: string, panel: PanelName, ...actions: ActionId[]): Guide => ({ title, panel, actions });

export const ERROR_GUIDE: Readonly<Record<ErrorKind, Guide>> = {
  'malformed-onnx': guide('The model cannot be read', 'choose', 'show-model'),
  'unsupported-onnx': guide('The model uses operations Papilio lacks', 'choose', 'show-model', 'copy'),
  'malformed-file': guide('A file could not be read', 'choose', 'show-data', 'show-model'),
  'malformed-adapter': guide('The adapter file could not be read', 'choose', 'show-model'),
  'unsupported-adapter': guide('The adapter uses a feature Papilio lacks', 'choose', 'show-method'),
  'illegal-config': guide('These settings do not fit together', 'choose', 'show-method'),
  'no-target': guide('Nothing is targeted', 'choose', 'show-targets'),
  'bad-data': guide('The data cannot be trained on', 'choose', 'show-data'),
  'bad-argument': guide('A setting is not possible', 'choose', 'show-training'),
  shape: guide('The data does not fit the model', 'choose', 'show-data', 'copy'),
  'not-found': guide('Something is missing', 'train', 'retry', 'copy'),
  'no-webgpu': guide('This browser has no WebGPU', 'train', 'retry'),
  'no-adapter': guide('The GPU is blocked', 'train', 'retry'),
  'too-large': guide('A file asks for too much', 'choose', 'show-model', 'show-data', 'copy'),
  limit: guide('The device is too small for this', 'train', 'halve-batch', 'show-model'),
  'out-of-memory': guide('The GPU ran out of memory', 'train', 'halve-batch', 'show-targets', 'resume'),
  'device-lost': guide('The GPU device was lost', 'train', 'resume', 'copy'),
  'non-finite': guide('Training diverged', 'train', 'halve-rate', 'show-training'),
  quota: guide('There is no room left', 'train', 'download-checkpoint'),
  network: guide('A file could not be fetched', 'train', 'retry'),
  forbidden: guide('A file is not open to everyone', 'choose', 'show-model', 'show-data'),
  aborted: guide('It was broken off', 'see'),
  checkpoint: guide('The checkpoint does not fit', 'train', 'reset'),
  internal: guide('Something broke', 'train', 'resume', 'retry', 'copy'),
};
