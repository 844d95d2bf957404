/**
 * `papilio verify peft DIR [--json]`: every case file of a folder; or, for a folder with `cases/` in it, all figures it holds, by
 * {@link verifyPeftRoot}. Exit code 1 on any failure; a method that Papilio lacks is one.
 */
import { join } from 'node:path';
import { kindOf, openGpu } from '../../../src/cli/runtime.ts';
import { print } from '../../../src/cli/terminal.ts';
import { openDevice } from '../../../src/gpu/device.ts';
import { caseSummary, checkCases } from './cases.ts';
import { verifyPeftRoot } from './root.ts';

/** @returns the exit code */
export async function verifyPeft(folder: string, json: boolean): Promise<number> {
  if ((await kindOf(join(folder, 'cases'))) === 'folder') return verifyPeftRoot(folder, json);
  const device = await openDevice(await openGpu());
  const say = json ? () => {} : (line: string) => print(`${line}\n`);
  const result = await checkCases(device, folder, say);
  device.destroy();
  print(json ? `${JSON.stringify(result)}\n` : `${caseSummary(result).join('\n')}\n`);
  return result.failed + result.unsupported > 0 ? 1 : 0;
}
