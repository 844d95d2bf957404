/** For every kind of error: its heading, where on the page it belongs, and the ways on. */
import { type ErrorKind, type ErrorReport, say } from '../common.ts';
import type { PanelName } from './stores.ts';

export interface Guide {
  readonly title: string;
  readonly panel: PanelName;
  readonly actions: readonly ActionId[];
}

const actionLabels = () => ({
  resume: say`Resume from the last checkpoint`,
  'halve-rate': say`Halve the learning rate and go on`,
  clip: say`Clip the gradient at 1 and go on`,
  'resume-onnxruntime': say`Go on with onnxruntime, on the processor`,
  'halve-batch': say`Halve the batch and start again`,
  'halve-sequence': say`Halve the sequence length and start again`,
  'download-checkpoint': say`Download the checkpoint`,
  retry: say`Try again`,
  'show-model': say`Choose another model`,
  'show-data': say`Change the data`,
  'show-targets': say`Show the targets`,
  'show-method': say`Show the settings`,
  'show-training': say`Show the training settings`,
  reset: say`Start over`,
  copy: say`Copy the details`,
});

export type ActionId = keyof ReturnType<typeof actionLabels>;

export const actionLabel = (id: ActionId): string => actionLabels()[id];

const entry = (title: string, panel: PanelName, ...actions: ActionId[]): Guide => ({ title, panel, actions });

const guides = (): Readonly<Record<ErrorKind, Guide>> => ({
  'malformed-onnx': entry(say`The model cannot be read`, 'choose', 'show-model'),
  'unsupported-onnx': entry(say`The model uses operations Papilio lacks`, 'choose', 'show-model', 'copy'),
  'malformed-file': entry(say`A file could not be read`, 'choose', 'show-data', 'show-model'),
  'malformed-adapter': entry(say`The adapter file could not be read`, 'choose', 'show-model'),
  'unsupported-adapter': entry(say`The adapter uses a feature Papilio lacks`, 'choose', 'show-method'),
  'illegal-config': entry(say`These settings do not fit together`, 'choose', 'show-method'),
  'no-target': entry(say`Nothing is targeted`, 'choose', 'show-targets'),
  'bad-data': entry(say`The data cannot be trained on`, 'choose', 'show-data'),
  'bad-argument': entry(say`A setting is not possible`, 'choose', 'show-training'),
  shape: entry(say`The data does not fit the model`, 'choose', 'show-data', 'copy'),
  'not-found': entry(say`Something is missing`, 'train', 'retry', 'copy'),
  'no-webgpu': entry(say`The browser gives no GPU, since it has no WebGPU`, 'train', 'retry'),
  'no-adapter': entry(say`The browser gives no GPU, though it has WebGPU`, 'train', 'retry'),
  'too-large': entry(say`A file asks for too much`, 'choose', 'show-model', 'show-data', 'copy'),
  limit: entry(
    say`The device is too small for this`,
    ...(['train', 'halve-batch', 'halve-sequence', 'show-model'] as const),
  ),
  'out-of-memory': entry(
    say`There is too little memory`,
    ...(['train', 'halve-batch', 'halve-sequence', 'show-targets', 'resume'] as const),
  ),
  'device-lost': entry(
    say`The GPU device was lost`,
    ...(['train', 'resume', 'resume-onnxruntime', 'halve-batch', 'halve-sequence', 'copy'] as const),
  ),
  'non-finite': entry(say`Training diverged`, 'train', 'halve-rate', 'clip', 'show-training'),
  quota: entry(say`There is no room left`, 'train', 'download-checkpoint'),
  network: entry(say`A file could not be fetched`, 'train', 'retry'),
  forbidden: entry(say`A file is not open to everyone`, 'choose', 'show-model', 'show-data'),
  aborted: entry(say`It was broken off`, 'see'),
  checkpoint: entry(say`The checkpoint does not fit`, 'train', 'reset'),
  internal: entry(say`Something broke`, 'train', 'resume', 'retry', 'copy'),
});

export const guideOf = (kind: ErrorKind): Guide => guides()[kind];

/** A heading that says of a memory which one it is: only an error of the GPU's own buffers names the GPU. */
export const titleOf = ({ kind, details }: Pick<ErrorReport, 'kind' | 'details'>): string =>
  kind === 'out-of-memory' && details.memory === 'gpu' ? say`The GPU ran out of memory` : guideOf(kind).title;
