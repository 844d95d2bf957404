/** Whether a folder of `reproduce --resume` has a run already, so that it need not be trained again. */
import { join } from 'node:path';
import { isDeepStrictEqual } from 'node:util';
import { kindOf, readBytes, readText } from '../../src/cli/runtime.ts';
import { cliHost } from '../../src/cli/sources.ts';
import { fail } from '../../src/lib/errors.ts';
import { requireGoesOn } from '../../src/training/session.ts';
import type { RunFile } from './figures.ts';
import type { Trial } from './trials.ts';

/** What a run leaves that its figure is made of, or that tells whose run it was. */
const WHOLE = ['run.json', 'checkpoint.safetensors', 'model.onnx'] as const;

type Noted = Pick<RunFile, 'status' | 'training' | 'device'>;

/** What a run noted of itself; null where the text was cut off, or is none of a run. */
function notedIn(text: string): Noted | null {
  try {
    const run = JSON.parse(text) as Partial<Noted> | null;
    return run?.device && run.training ? (run as Noted) : null;
  } catch {
    return null;
  }
}

/**
 * Whether a folder has the whole of a run as it would be trained now; what cannot be read is no run.
 *
 * @throws PapilioError('checkpoint') where it has a run of other settings, model or data; 'bad-argument' where another engine trained it
 */
export async function isDone(
  { model, data, method, config, training }: Trial,
  out: string,
  engine: string,
): Promise<boolean> {
  for (const name of WHOLE) if ((await kindOf(join(out, name))) !== 'file') return false;
  const run = notedIn(await readText(join(out, 'run.json')));
  if (run === null) return false;
  if (engine !== 'auto' && run.device.engine !== engine)
    fail('bad-argument', `${out} has a run by ${run.device.engine}: give another --out for ${engine}.`);
  if (run.status !== 'done' || !isDeepStrictEqual(run.training, { ...run.training, ...training }))
    return false;
  const request = {
    model: { kind: 'embedded', name: model },
    data: { kind: 'embedded', name: data },
    ...{ method, config, training: run.training },
  } as const;
  await requireGoesOn(request, cliHost, await readBytes(join(out, 'checkpoint.safetensors')));
  return true;
}
