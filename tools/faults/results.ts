/** What a run left in its folder, and how two of them differ. */
import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { readAdapter } from '../../src/adapters/peft.ts';
import { type Checkpoint, decodeCheckpoint } from '../../src/training/checkpoint.ts';

export interface Result {
  readonly losses: readonly number[];
  /** The curve as a table, without the column of seconds. */
  readonly metrics: string;
  readonly files: ReadonlyMap<string, Buffer>;
  readonly checkpoint: Checkpoint;
}

const SAME = ['adapter_config.json', 'adapter_model.safetensors', 'model.onnx'];

const withoutSeconds = (csv: string): string =>
  csv
    .split('\n')
    .map((line) => line.split(',').toSpliced(6, 1).join(','))
    .join('\n');

/** Of a finished run. */
export async function resultIn(out: string): Promise<Result> {
  const run = JSON.parse(await readFile(join(out, 'run.json'), 'utf8')) as { loss: { curve: number[] } };
  return {
    losses: run.loss.curve,
    metrics: withoutSeconds(await readFile(join(out, 'metrics.csv'), 'utf8')),
    files: new Map(
      await Promise.all(SAME.map(async (name) => [name, await readFile(join(out, name))] as const)),
    ),
    checkpoint: await decodeCheckpoint(await readFile(join(out, 'checkpoint.safetensors'))),
  };
}

const bytesOf = (data: Float32Array): Buffer => Buffer.from(data.buffer, data.byteOffset, data.byteLength);

/** What is not the same to the last bit. */
export function differences(is: Result, was: Result): string[] {
  const found: string[] = [];
  const wrong = was.losses.filter((loss, i) => !Object.is(loss, is.losses[i])).length;
  if (wrong > 0 || is.losses.length !== was.losses.length) found.push(`${wrong} losses`);
  if (is.metrics !== was.metrics) found.push('metrics.csv');
  for (const [name, bytes] of was.files) if (!is.files.get(name)?.equals(bytes)) found.push(name);
  for (const [name, data] of was.checkpoint.states) {
    const other = is.checkpoint.states.get(name);
    if (!other || !bytesOf(other).equals(bytesOf(data))) found.push(`state ${name}`);
  }
  return found;
}

/** What is cut or left over in the folder of a run that something happened to, and the step it can go on from. */
export async function afterFault(out: string): Promise<{ readonly kept: number; readonly broken: string[] }> {
  const names: string[] = await readdir(out).catch(() => []);
  const broken: string[] = [];
  let kept = 0;
  const read = (name: string) => readFile(join(out, name));
  const whole: Readonly<Record<string, () => Promise<unknown>>> = {
    'checkpoint.safetensors': async () => {
      kept = (await decodeCheckpoint(await read('checkpoint.safetensors'))).step;
    },
    'run.json': async () => JSON.parse(String(await read('run.json'))),
    'metrics.csv': async () => {
      const lines = String(await read('metrics.csv')).split('\n');
      const columns = lines[0]!.split(',').length;
      if (lines.pop() !== '' || lines.some((line) => line.split(',').length !== columns))
        throw new Error('cut');
    },
    'adapter_model.safetensors': async () => {
      const config = String(await read('adapter_config.json'));
      readAdapter(config, new Uint8Array(await read('adapter_model.safetensors')));
    },
  };
  for (const [name, check] of Object.entries(whole)) {
    if (!names.includes(name)) continue;
    await check().catch((error: unknown) => broken.push(`${name}: ${String(error)}`));
  }
  return { kept, broken };
}
