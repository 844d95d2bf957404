/** The same run twice on one device: whether a loss differs. */

import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { differences, resultIn } from './results.ts';
import type { Scene } from './scene.ts';

/** Two runs of so many steps. @returns losses compared, and what differs */
export async function runTwice(
  scene: Scene,
  steps: number,
): Promise<{ readonly losses: number; readonly differs: readonly string[] }> {
  const results = [];
  for (const name of ['first', 'second']) {
    const out = join(scene.folder, name);
    const given = scene.args(out);
    given[given.indexOf('--steps') + 1] = String(steps);
    // Evaluations and checkpoints now and then.
    given[given.indexOf('--eval-every') + 1] = '250';
    given[given.indexOf('--checkpoint-every') + 1] = '100';
    const ran = await scene.run(scene.cli, given);
    if (ran.code !== 0) throw new Error(`The run of ${steps} steps ended with ${ran.code}.\n${ran.stderr}`);
    results.push(await resultIn(out));
    await rm(out, { recursive: true });
  }
  const [first, second] = results;
  return { losses: first!.losses.length, differs: differences(second!, first!) };
}
