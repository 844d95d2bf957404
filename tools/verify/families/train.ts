/**
 * `papilio verify families --train`: the trained models of a folder (its trained.json says which, and on what data) fine-tuned with no option but data
 * and steps, by the four main methods and on three seeds: the held-out loss has to fall, and the merged file to agree with onnxruntime.
 */
import { join } from 'node:path';
import type { MethodId } from '../../../src/adapters/registry.ts';
import { trainingSettings } from '../../../src/cli/finetuneOptions.ts';
import { openMerged } from '../../../src/cli/mergedFile.ts';
import { readText } from '../../../src/cli/runtime.ts';
import { cliHost, dataSource, modelSource } from '../../../src/cli/sources.ts';
import { print } from '../../../src/cli/terminal.ts';
import { fail } from '../../../src/lib/errors.ts';
import type { RunsOn } from '../../../src/training/backend.ts';
import { openSession } from '../../../src/training/session.ts';
import { engineOf, type FamilyOptions, ownModels } from './matrix.ts';

const TRAINED: readonly MethodId[] = ['boft', 'oft', 'fourierft', 'lora'];
const SEEDS = [0, 1, 2];
/** By this part the held-out loss has to fall. */
const FALL = 0.05;

interface Run {
  readonly model: string;
  readonly data: string;
  readonly method: MethodId;
  readonly seed: number;
}

interface Fall {
  readonly before: number;
  readonly after: number;
  readonly parity: number;
  /** Whether the merged file computes what was trained. */
  readonly agrees: boolean;
}

async function trainedOf(root: string): Promise<Readonly<Record<string, string>>> {
  const file = join(root, 'trained.json');
  const text = await readText(file);
  try {
    return JSON.parse(text) as Record<string, string>;
  } catch {
    return fail('malformed-file', `${file} is no JSON object of model and data file.`);
  }
}

/** @param root of the models; the data is beside them, in `data` */
async function fineTune(on: RunsOn, root: string, run: Run, steps: number): Promise<Fall> {
  const training = trainingSettings({ steps, seed: run.seed }, run.method);
  const session = await openSession(
    on,
    {
      model: await modelSource(join(root, run.model, 'model.onnx')),
      data: await dataSource(join(root, 'data', run.data)),
      method: run.method,
      config: {},
      training,
    },
    cliHost,
  );
  try {
    const before = await session.evaluate('base');
    await session.play();
    const after = await session.evaluate('adapted');
    const { parity } = await session.mergeChecked(openMerged);
    const agrees = parity.verdict === 'passed';
    return { before: before.loss, after: after.loss, parity: parity.maxRel, agrees };
  } finally {
    await session.close();
  }
}

const passes = ({ before, after, agrees }: Fall): boolean => after <= before * (1 - FALL) && agrees;

/** @returns the exit code: 1 where a loss did not fall enough or a merged file differs */
export async function trainFamilies(
  folder: string | undefined,
  options: FamilyOptions & { readonly steps: number },
): Promise<number> {
  const root = folder ?? (await ownModels());
  const runs = Object.entries(await trainedOf(root)).flatMap(([model, data]) =>
    TRAINED.flatMap((method) => SEEDS.map((seed): Run => ({ model, data, method, seed }))),
  );
  const wanted = runs.filter((run) =>
    options.only.every((word) => [run.model, run.method, String(run.seed)].includes(word)),
  );
  if (wanted.length === 0) fail('bad-argument', 'No run is left; say less with --only.');
  const on = await engineOf(options.engine);
  const results: (Run & Fall & { readonly passed: boolean })[] = [];
  for (const run of wanted) {
    const fall = await fineTune(on, root, run, options.steps);
    results.push({ ...run, ...fall, passed: passes(fall) });
    const { model, method, seed } = run;
    if (!options.json)
      print(
        `${passes(fall) ? 'ok  ' : 'FAIL'} ${model} × ${method}, seed ${seed}: held-out loss ${fall.before.toFixed(4)} → ${fall.after.toFixed(4)}, parity ${fall.parity.toExponential(1)}\n`,
      );
  }
  on.close();
  const failed = results.filter((r) => !r.passed).length;
  print(
    options.json
      ? `${JSON.stringify({ steps: options.steps, runs: results, failed })}\n`
      : `${results.length} runs of ${options.steps} steps, ${failed} failed.\n`,
  );
  return failed > 0 ? 1 : 0;
}
