/** Where `finetune` writes, and how much of it: known and tried before it trains. */
import type { ModelSource } from '../training/protocol.ts';
import type { Session } from '../training/session.ts';
import type { FinetuneValues } from './finetuneOptions.ts';
import { type OutFolder, requireRoom, type WantedOut } from './outFolder.ts';
import { PROJECT_HOLDS } from './python.ts';

/** The files that a model folder for the Hub is known by. */
const HUB_HOLDS = ['onnx', 'config.json'];

/** The places of --out, --folder and --python. */
export function placesOf({ out, folder, python, overwrite, resume }: FinetuneValues): WantedOut[] {
  // The same command again finds there what it wrote itself.
  const again = overwrite || resume !== undefined;
  return [
    { path: out, overwrite, resume },
    ...(folder === undefined ? [] : [{ path: folder, overwrite: again, holds: HUB_HOLDS }]),
    ...(python === undefined ? [] : [{ path: python, overwrite: again, holds: PROJECT_HOLDS }]),
  ];
}

const WHAT = 'The run (a merged model in each folder, adapter and checkpoint)';
/** Figures, curve and small files beside the model. */
const SMALL = 2 ** 20;
/** A checkpoint holds a weight with the moments of its optimiser, and lies beside the older one while it is written. */
const PER_WEIGHT = 4 * (1 + 2 * 3);

/** The model alone, as far as its files tell before they are read. @throws PapilioError 'quota' */
export async function roomForModel(source: ModelSource, places: readonly OutFolder[]): Promise<void> {
  if (source.kind !== 'files') return;
  const bytes = source.files.reduce(
    (sum, file) => sum + (file.bytes instanceof Blob ? file.bytes.size : file.bytes.length),
    0,
  );
  await requireRoom(
    places.map(({ folder }) => ({ folder, bytes })),
    WHAT,
  );
}

/** Everything, once it is known what is trained. @throws PapilioError 'quota' */
export async function roomForRun({ opened, counts }: Session, places: readonly OutFolder[]): Promise<void> {
  const model = [...opened.bytes, ...opened.sidecars.map(({ bytes }) => bytes)];
  const size = model.reduce((sum, { length }) => sum + length, 0);
  await requireRoom(
    places.map(({ folder }) => ({ folder, bytes: size + counts.stored * PER_WEIGHT + SMALL })),
    WHAT,
  );
}
