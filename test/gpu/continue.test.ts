/**
 * Runs that go on from an adapter: what was exported is where they begin, they learn on, and what does not belong is refused.
 * Seen to fail with: an adapter that is read but not put in place, saved modules that begin anew.
 */
import { expect, test } from 'vitest';
import type { InputFile } from '../../src/lib/bytes.ts';
import type { Session } from '../../src/training/session.ts';
import { openTiny, type TinyRun } from './tinyRuns.ts';

const targets = { target_modules: ['query', 'value', 'fc1'], modules_to_save: ['classifier'] };
const runs: readonly TinyRun[] = [
  { method: 'lora', config: { ...targets, r: 3 } },
  { method: 'boft', config: { ...targets, boft_block_size: 4, bias: 'boft_only' } },
  { method: 'adalora', config: { ...targets, init_r: 4, target_r: 2, tfinal: 2 } },
].map((run) => ({ ...run, training: { learningRate: 0.02, steps: 12, warmupSteps: 0 } }) as TinyRun);

const filesOf = async (session: Session): Promise<InputFile[]> => {
  const { warnings: _, ...files } = await session.exportAdapter();
  return Object.entries(files).map(([name, content]) => ({
    name,
    bytes: typeof content === 'string' ? new TextEncoder().encode(content) : (content as Uint8Array),
  }));
};

test.each(runs)('$method begins where the other run ended and learns on', async (run) => {
  const first = await openTiny(run);
  try {
    await first.play();
    const adapter = await filesOf(first);
    const ended = first.history.evals.at(-1)!;
    const next = await openTiny({ ...run, config: {}, adapter });
    try {
      const begun = await next.evaluate('adapted');
      expect(begun.loss).toBeCloseTo(ended.loss, 6);
      expect((await next.evaluate('base')).loss).not.toBeCloseTo(ended.loss, 2);
      await next.play();
      expect(next.history.evals.at(-1)!.loss).toBeLessThan(begun.loss);

      const checkpoint = await next.checkpoint();
      await expect(openTiny(run, checkpoint)).rejects.toThrow(/another adapter to go on from/);
      const again = await openTiny({ ...run, config: {}, adapter }, checkpoint);
      expect(again.position().step).toBe(12);
      // Once more into files: what was left out before stays left out.
      const files = await filesOf(again);
      expect(files.map((f) => f.name)).toEqual(adapter.map((f) => f.name));
      await again.close();
    } finally {
      await next.close();
    }
  } finally {
    await first.close();
  }
});

test('files that are missing, of another method or of another model are refused', async () => {
  const run = runs[0]!;
  const session = await openTiny(run);
  const adapter = await filesOf(session);
  await session.close();
  await expect(openTiny({ ...run, adapter: adapter.slice(1) })).rejects.toThrow(
    /has no adapter_config\.json/,
  );
  await expect(openTiny({ ...run, method: 'oft', config: {}, adapter })).rejects.toThrow(
    /is LoRA, but the run is asked to train oft/,
  );
  const config = JSON.parse(new TextDecoder().decode(adapter[0]!.bytes)) as Record<string, unknown>;
  const wider = new TextEncoder().encode(JSON.stringify({ ...config, r: 5 }));
  await expect(
    openTiny({ ...run, adapter: [{ name: 'adapter_config.json', bytes: wider }, adapter[1]!] }),
  ).rejects.toThrow(/has shape .* but this model needs/);
});
