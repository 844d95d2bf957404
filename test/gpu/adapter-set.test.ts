/**
 * The trainer's opened adapters on a model small enough for a software adapter: scores are those of the run that made them, merging changes nothing
 * in them, taking out gives the base again, wrong files change nothing.
 * Seen to fail with: scores that leave the saved head out, merged weights that are applied twice, a set that keeps what it read before an error.
 */
import { describe, expect, it } from 'vitest';
import { zipOf } from '../../src/adapters/folder.ts';
import type { InputFile } from '../../src/lib/bytes.ts';
import { createAdapterSet, type OpenedAdapters } from '../../src/training/adapterSet.ts';
import { gpuBackend } from '../../src/training/backend.ts';
import { testDevice } from './device.ts';
import { openTiny, type TinyRun, testHost, tinyRequest } from './tinyRuns.ts';

const run: TinyRun = {
  method: 'lora',
  config: { target_modules: ['query', 'value', 'fc1'], modules_to_save: ['classifier'], r: 3 },
  training: { learningRate: 0.02, steps: 8, warmupSteps: 0 },
};
const plain: TinyRun = { ...run, config: { target_modules: ['query', 'fc1'], modules_to_save: [], r: 2 } };

async function trained(of: TinyRun): Promise<{ files: InputFile[]; loss: number; before: number }> {
  const session = await openTiny(of);
  try {
    await session.play();
    const { warnings: _, ...files } = await session.exportAdapter();
    return {
      files: Object.entries(files).map(([name, content]) => ({
        name,
        bytes: typeof content === 'string' ? new TextEncoder().encode(content) : (content as Uint8Array),
      })),
      loss: (await session.evaluate('adapted')).loss,
      before: (await session.evaluate('base')).loss,
    };
  } finally {
    await session.close();
  }
}

async function openAdapters(): Promise<OpenedAdapters> {
  const adapters = createAdapterSet(testHost, async () => gpuBackend(await testDevice()));
  const { model, data, training } = tinyRequest(run);
  await adapters.changeAdapters({ kind: 'bind', task: { model, data, training } });
  return adapters;
}

describe('opened adapters', () => {
  it('score as their run did, merged too, and not at all once they are out again', async () => {
    const { files, loss, before } = await trained(run);
    const adapters = await openAdapters();
    const zip = zipOf(new Map(files.map(({ name, bytes }) => [name, bytes])));
    const opened = await adapters.changeAdapters({
      kind: 'open',
      files: [{ name: 'heath.zip', bytes: zip }],
    });
    expect(opened.rows).toMatchObject([
      {
        name: 'heath',
        method: 'lora',
        fit: { reason: null },
      },
    ]);
    expect(opened.rows[0]!.modules).toHaveLength(3);
    expect([...opened.rows[0]!.saved].sort()).toEqual(['classifier.bias', 'classifier.weight']);
    const alone = await adapters.scoreAdapters(['heath']);
    expect(alone.before.loss).toBeCloseTo(before, 5);
    expect(alone.after.loss).toBeCloseTo(loss, 5);

    await adapters.changeAdapters({ kind: 'activate', names: ['heath'] });
    expect((await adapters.scoreAdapters(null)).after.loss).toBeCloseTo(loss, 5);
    await adapters.changeAdapters({ kind: 'disable' });
    expect((await adapters.scoreAdapters(null)).after.loss).toBeCloseTo(before, 5);
    await adapters.changeAdapters({ kind: 'enable' });
    const merged = await adapters.changeAdapters({ kind: 'merge', names: ['heath'] });
    expect(merged.merged).toEqual(['heath']);
    expect((await adapters.scoreAdapters(null)).after.loss).toBeCloseTo(loss, 4);
    const out = await adapters.mergeAdapters();
    expect(out.changedInitializers.length).toBeGreaterThan(3);
    expect((await adapters.scoreAdapters(null)).after.loss).toBeCloseTo(loss, 4);
    expect((await adapters.mergeAdapters()).onnx).toEqual(out.onnx);
    expect((await adapters.changeAdapters({ kind: 'unmerge' })).merged).toEqual([]);
    expect(
      (await adapters.inspectAdapter('heath', opened.rows[0]!.modules[0]!)).delta.relative,
    ).toBeGreaterThan(0);
    const saved = await adapters.adapterFiles(['heath']);
    expect(saved.map(({ name }) => name).sort()).toEqual(files.map(({ name }) => name).sort());
    expect(saved.find(({ name }) => name.endsWith('.safetensors'))!.bytes).toEqual(
      files.find(({ name }) => name.endsWith('.safetensors'))!.bytes,
    );
  }, 240_000);

  it('are combined, subfolders and all; what is wrong changes nothing and says why', async () => {
    const { files, loss, before } = await trained(plain);
    const adapters = await openAdapters();
    const both = ['one', 'two'].flatMap((folder) =>
      files.map(({ name, bytes }) => ({ name: `mine/${folder}/${name}`, bytes })),
    );
    const opened = await adapters.changeAdapters({ kind: 'open', files: both });
    expect(opened.rows.map(({ name }) => name)).toEqual(['one', 'two']);
    const combined = await adapters.changeAdapters({
      kind: 'combine',
      name: 'half',
      names: ['one', 'two'],
      options: { type: 'linear', weights: [0.5, 0.5] },
    });
    expect(combined.rows.map(({ name }) => name)).toEqual(['one', 'two', 'half']);
    // Two halves of one adapter: √½ of A and B each, doubled, is the adapter itself.
    expect((await adapters.scoreAdapters(['half'])).after.loss).toBeCloseTo(loss, 1);
    expect(before).toBeGreaterThan(loss);

    const cut = files.map((file) => ({ ...file, bytes: file.bytes.subarray(0, file.bytes.length - 9) }));
    await expect(
      adapters.changeAdapters({
        kind: 'open',
        files: [...both, { name: 'cut.zip', bytes: zipOf(new Map()) }],
      }),
    ).rejects.toThrow(/no adapter_config\.json/);
    await expect(adapters.changeAdapters({ kind: 'open', files: [files[0]!, cut[1]!] })).rejects.toThrow();
    await expect(adapters.changeAdapters({ kind: 'merge', names: ['one', 'gone'] })).rejects.toThrow(
      /no adapter gone/,
    );
    const after = await adapters.changeAdapters({ kind: 'delete', name: 'two' });
    expect(after).toMatchObject({ rows: [{ name: 'one' }, { name: 'half' }], merged: [], active: [] });

    await adapters.changeAdapters({ kind: 'bind', task: null });
    await expect(adapters.scoreAdapters(['one'])).rejects.toThrow(/no model to hold/);
  }, 240_000);
});
