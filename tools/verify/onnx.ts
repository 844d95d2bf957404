/** `papilio verify onnx DIR [--json]`: every NAME.onnx with NAME.json of a folder, by {@link checkOnnxCase}; exit code 1 on any failure. */
import { join } from 'node:path';
import { listFiles, openGpu, readBytes, readText } from '../../src/cli/runtime.ts';
import { print } from '../../src/cli/terminal.ts';
import { openDevice } from '../../src/gpu/device.ts';
import { fail, PapilioError } from '../../src/lib/errors.ts';
import { decodeModel, externalFiles } from '../../src/onnx/decode.ts';
import type { OnnxModel } from '../../src/onnx/types.ts';
import { type Comparison, checkOnnxCase, type OnnxFigures } from './onnxCase.ts';

interface FileReport {
  readonly status: 'passed' | 'failed' | 'unsupported';
  readonly family?: string;
  readonly reason?: string;
  /** Worst error of each kind of comparison. */
  readonly worst?: Readonly<Record<string, number>>;
  readonly gradients?: { readonly file: number; readonly interpreter: number };
  readonly dispatches?: number;
}

/** `output logits, GPU against file` → `outputs, GPU against file`. */
const kindOf = (what: string): string => what.replace(/^(output|gradient) .*, /, '$1s, ');

function worstByKind(comparisons: readonly Comparison[]): Record<string, number> {
  const worst: Record<string, number> = {};
  for (const { what, error } of comparisons) worst[kindOf(what)] = Math.max(worst[kindOf(what)] ?? 0, error);
  return worst;
}

async function readModel(path: string, bytes: Uint8Array): Promise<OnnxModel> {
  const external = new Map<string, Uint8Array>();
  for (const name of externalFiles(bytes)) external.set(name, await readBytes(join(path, '..', name)));
  return decodeModel(bytes, external);
}

function parse<T>(file: string, text: string): T {
  try {
    return JSON.parse(text) as T;
  } catch {
    return fail('bad-data', `${file} is no JSON.`);
  }
}

/** @returns the exit code */
export async function verifyOnnx(folder: string, json: boolean): Promise<number> {
  const files = await listFiles(folder);
  const names = files.filter((f) => f.endsWith('.onnx') && files.includes(f.replace(/onnx$/, 'json'))).sort();
  if (names.length === 0) fail('not-found', `${folder} holds no NAME.onnx with a NAME.json beside it.`);
  const config = files.includes('config.json')
    ? parse<Record<string, unknown>>('config.json', await readText(join(folder, 'config.json')))
    : {};
  const device = await openDevice(await openGpu());
  const reports: Record<string, FileReport> = {};
  const failures: { case: string; what: string; error: number | string }[] = [];
  const say = (line: string): void => {
    if (!json) print(`${line}\n`);
  };
  for (const file of names) {
    const name = file.slice(0, -'.onnx'.length);
    try {
      const bytes = await readBytes(join(folder, file));
      const figures = parse<OnnxFigures>(`${name}.json`, await readText(join(folder, `${name}.json`)));
      const onnx = await readModel(join(folder, file), bytes);
      const result = await checkOnnxCase(device, bytes, onnx, figures, config);
      const bad = result.comparisons.filter((c) => !c.ok);
      const worst = worstByKind(result.comparisons);
      reports[name] = {
        status: bad.length === 0 ? 'passed' : 'failed',
        family: result.family,
        worst,
        gradients: result.gradients,
        dispatches: result.dispatches,
      };
      for (const { what, error } of bad) failures.push({ case: name, what, error });
      say(
        `${bad.length === 0 ? 'ok  ' : 'FAIL'} ${name} (${result.family}), ${result.gradients.interpreter} gradients`,
      );
      for (const [kind, error] of Object.entries(worst)) say(`     ${kind}: ${error.toExponential(1)}`);
      for (const { what, error, tolerance } of bad)
        say(`     ${what}: ${error.toExponential(2)} > ${tolerance}`);
    } catch (error) {
      const reason = error instanceof Error ? error.message : String(error);
      if (error instanceof PapilioError && error.kind === 'unsupported-onnx') {
        reports[name] = { status: 'unsupported', reason };
        say(`---- ${name}: not supported yet. ${reason}`);
        continue;
      }
      reports[name] = { status: 'failed', reason };
      failures.push({ case: name, what: 'run', error: reason });
      say(`FAIL ${name}: ${reason}`);
    }
  }
  device.destroy();
  const count = (status: FileReport['status']): number =>
    Object.values(reports).filter((r) => r.status === status).length;
  const [passed, failed, unsupported] = [count('passed'), count('failed'), count('unsupported')];
  if (json) print(`${JSON.stringify({ passed, failed, unsupported, files: reports, failures })}\n`);
  else say(`${passed} passed, ${failed} failed, ${unsupported} unsupported.`);
  return failed > 0 ? 1 : 0;
}
