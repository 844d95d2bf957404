/**
 * The command line as a user meets it: wrong input ends with exit code 2 and one sentence that says what, where and what to do; a run that is
 * stopped, diverges or loses its device leaves what it had, and goes on from there.
 *
 * Seen to fail with: errors printed with their stacks, exit code 1, a diverged run that writes no adapter, a checkpoint that is not read, a
 * lost device that is asked for its state.
 */
import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest';
import { readAdapter } from '../../src/adapters/peft.ts';
import { finetuneCommand } from '../../src/cli/finetune.ts';
import { writeBytes } from '../../src/cli/runtime.ts';
import type { Device } from '../../src/gpu/device.ts';
import { encodeModel } from '../../src/onnx/encode.ts';
import { trainBpe } from '../../tools/pretrain/bpe.ts';
import { encoder } from '../tools/graphs.ts';
import { png } from '../unit/data-support.ts';
import { here, lastSaid, papilio as launched, recordIn, sentences } from './commandLine.ts';
import { tinyVision } from './tinyRuns.ts';

let folder = '';
const at = (...names: string[]) => join(folder, ...names);
const papilio = (args: readonly string[], watch?: (stderr: string) => boolean) =>
  launched(args, at('cache'), watch);
const model = tinyVision().files;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'papilio-cli-'));
  for (const { name, bytes } of model) await writeBytes(at('vision', name), bytes);
  const onnx = model[0]!.bytes;
  await writeBytes(at('truncated.onnx'), onnx.subarray(0, Math.floor(onnx.length * 0.6)));
  await writeBytes(at('text.onnx'), 'This is a text and no model.');
  // Two operators by names of the same length that nobody knows.
  const odd = Buffer.from(onnx);
  for (const [from, to] of [
    ['Softmax', 'Softmix'],
    ['Erf', 'Erx'],
  ] as const) {
    for (let i = odd.indexOf(from); i >= 0; i = odd.indexOf(from, i)) odd.write(to, i);
  }
  await writeBytes(at('odd', 'model.onnx'), odd);
  await writeBytes(at('bert', 'model.onnx'), encodeModel(encoder({ family: 'bert' })));
  await writeBytes(
    at('bert', 'tokenizer.json'),
    JSON.stringify(trainBpe(['some words'], { vocabSize: 257 })),
  );
  await writeBytes(at('unlabelled.csv'), 'text\none line\nanother line\n');
  for (const k of [0, 1, 2]) {
    for (let i = 0; i < 7; i++) {
      const rows = Array.from({ length: 8 }, (_, y) =>
        new Array<number>(8).fill(Math.floor(y / 3) === k ? 180 + 5 * i : 10 * i),
      );
      await writeBytes(at('pictures', `class ${k}`, `${i}.png`), png(8, 8, { colour: 0, rows }));
    }
  }
  // Builds the command line if its sources are newer.
  const { code, stdout } = await papilio(['help']);
  expect(code).toBe(0);
  expect(stdout).toContain('finetune');
}, 300_000);
afterAll(() => rm(folder, { recursive: true }));

const lora = '{"target_modules": ["query", "key"], "r": 2, "modules_to_save": ["classifier"]}';
/** A command that works, with some flags set otherwise. */
const finetune = (changes: Readonly<Record<string, string>> = {}) => {
  const flags = {
    model: at('vision'),
    data: at('pictures'),
    engine: 'webgpu',
    method: 'lora',
    config: lora,
    steps: '6',
    'batch-size': '4',
    schedule: 'constant',
    out: at('out'),
    ...changes,
  };
  return ['finetune', ...Object.entries(flags).flatMap(([name, value]) => [`--${name}`, value])];
};

describe('wrong input', () => {
  /** Enough to see that the launcher passes words and exit codes through, of the command line and of the tools. */
  const IN_A_PROCESS = new Set(['a file that is no ONNX', 'nothing to verify']);
  test.each<[string, () => readonly string[], RegExp]>([
    ['a file that is no ONNX', () => finetune({ model: at('text.onnx') }), /not .*ONNX/],
    ['a truncated ONNX', () => finetune({ model: at('truncated.onnx') }), /truncated|ends|cut|byte/],
    ['unknown operators, all of them', () => finetune({ model: at('odd') }), /(?=.*Softmix)(?=.*Erx)/],
    [
      'an illegal block size',
      () => finetune({ method: 'boft', config: '{"target_modules": ["query"], "boft_block_size": 5}' }),
      /in_features \(16\) must be divisible by boft_block_size \(5\)/,
    ],
    [
      'an expression that matches nothing',
      () => finetune({ config: '{"target_modules": ".*nothing"}' }),
      /nothing.*not found|no module|matches/i,
    ],
    [
      'a table without labels',
      () => finetune({ model: at('bert'), data: at('unlabelled.csv') }),
      /unlabelled\.csv.*label/,
    ],
    [
      'a table where pictures are needed',
      () => finetune({ data: at('unlabelled.csv') }),
      /no column "image"; it has "text"/,
    ],
    ['a missing model', () => finetune({ model: at('none.onnx') }), /none\.onnx does not exist/],
    ['missing data', () => finetune({ data: at('none.csv') }), /none\.csv does not exist/],
    ['a configuration that is no JSON', () => finetune({ config: '{target_modules' }), /--config is no JSON/],
    ['an unknown method', () => finetune({ method: 'mora' }), /no method "mora"; choose one of oft, boft/],
    ['a number that is none', () => finetune({ lr: 'fast' }), /--lr takes a number, not "fast"/],
    ['a number out of range', () => finetune({ 'batch-size': '0' }), /--batch-size/],
    ['a schedule that is none', () => finetune({ schedule: 'stairs' }), /--schedule/],
    ['an unknown flag', () => finetune({ speed: '3' }), /--speed/],
    [
      'a checkpoint that is none',
      () => finetune({ resume: at('text.onnx') }),
      /is no checkpoint, or only part of one/,
    ],
    [
      'a missing flag',
      () => ['finetune', '--model', at('vision')],
      /finetune needs --model MODEL, --data DATA and --out/,
    ],
    [
      'an adapter folder that is none',
      () => ['merge', '--model', at('vision'), '--adapter', at('none'), '--out', at('x.onnx')],
      /none does not exist; give an adapter's folder or a zip/,
    ],
    ['nothing to verify', () => ['verify', 'peft'], /verify needs what to verify and a folder/],
  ])('%s', async (what, args, says) => {
    const run = IN_A_PROCESS.has(what) ? launched : here;
    const { code, stderr, stdout } = await run(args(), at('cache'));
    const said = sentences(stderr);
    expect(code, lastSaid(stderr)).toBe(2);
    expect(stdout).toBe('');
    expect(said.join('\n')).toMatch(says);
    expect(said, 'one sentence and no stack').toHaveLength(1);
    expect(said[0]).toMatch(/[.!]$/);
  });
});

describe('a run', () => {
  test('writes adapter, model, curve and record', async () => {
    const { code, stdout, stderr } = await papilio([
      ...finetune({ 'eval-every': '3', tune: 'on' }),
      '--json',
    ]);
    expect(code, lastSaid(stderr)).toBe(0);
    const figures = JSON.parse(stdout) as {
      parity: { maxRel: number };
      loss: { curve: number[] };
      steps: number;
    };
    expect(figures.steps).toBe(6);
    expect(figures.loss.curve).toHaveLength(6);
    expect(figures.parity.maxRel).toBeLessThanOrEqual(1e-4);
    expect((await readdir(at('out'))).sort()).toEqual(
      [
        'adapter_config.json',
        'adapter_model.safetensors',
        'checkpoint.safetensors',
        'config.json',
        'metrics.csv',
        'model.onnx',
        'preprocessor_config.json',
        'run.json',
      ].sort(),
    );
    expect((await readFile(at('out', 'metrics.csv'), 'utf8')).trim().split('\n')).toHaveLength(7);
    const { tuning } = await recordIn(at('out'));
    expect(tuning?.rows.reduce((n, { share }) => n + share, 0)).toBeGreaterThan(0.9);
  });

  test('that is stopped keeps what it has and goes on with --resume', async () => {
    const out = at('stopped');
    // Of this run's processes three train: on WebGPU, in software, the test takes 19 to 31 s with little else to do, in onnxruntime 12 at most. On WebGPU a
    // run goes on from its checkpoint below, after a lost device.
    const engine = 'onnxruntime';
    const long = finetune({ out, engine, steps: '100000', 'eval-every': '2' });
    const stopped = await papilio(long, (stderr) => stderr.includes('step 4:'));
    expect(stopped.code, lastSaid(stopped.stderr)).toBe(130);
    expect(stopped.stderr).toMatch(/Stopped after step \d+ of 100000\. .*--resume/);
    const { steps, loss } = await recordIn(out);
    expect(steps).toBeGreaterThanOrEqual(4);
    expect(loss.curve).toHaveLength(steps);

    const more = finetune({
      ...{ out, engine },
      steps: String(steps + 3),
      // Another rate, which a resumed run may have: without the checkpoint the curve would begin otherwise.
      lr: '0.05',
    });
    const other = await papilio([...more, '--json']);
    expect([other.code, other.stderr]).toEqual([2, expect.stringContaining('holds an older result')]);
    const resumed = await papilio([...more, '--json', '--resume']);
    expect(resumed.code, lastSaid(resumed.stderr)).toBe(0);
    const { curve } = (JSON.parse(resumed.stdout) as { loss: { curve: number[] } }).loss;
    expect(curve).toHaveLength(steps + 3);
    expect(curve.slice(0, steps)).toEqual(loss.curve);
    // It is finished now: its results are written again, and no step is done.
    const again = await papilio([...more, '--resume']);
    expect([again.code, again.stdout]).toEqual([0, expect.stringContaining('every step was done')]);
    expect((await recordIn(out)).loss.curve).toEqual(curve);
    const further = await papilio([...finetune({ out, engine, steps: '2' }), '--resume']);
    expect([further.code, further.stderr]).toEqual([2, expect.stringMatching(/and the run has 2 in all/)]);
  });

  test('that diverges says so, with the last good weights written', async () => {
    const out = at('diverged');
    const config = '{"target_modules": ["query", "key"], "r": 2, "lora_alpha": 1e19}';
    const { code, stderr } = await papilio(
      finetune({ out, config, lr: '10', warmup: '0', 'max-grad-norm': '0' }),
    );
    expect(code, lastSaid(stderr)).toBe(2);
    expect(sentences(stderr).at(-1)).toMatch(
      /not a number at step \d+.*lower the learning rate.*The checkpoint of step \d+ is in .*--resume/,
    );
    expect(stderr).not.toMatch(/ at .*\.m?[jt]s:/);
    const run = await recordIn(out);
    expect(run.error?.kind).toBe('non-finite');
    expect(run.steps).toBeGreaterThan(0);
    const adapter = readAdapter(
      await readFile(join(out, 'adapter_config.json'), 'utf8'),
      new Uint8Array(await readFile(join(out, 'adapter_model.safetensors'))),
    );
    for (const tensors of adapter.tensors.values()) {
      for (const { data } of tensors.values()) expect(data.every(Number.isFinite)).toBe(true);
    }
  });
});

const lost = vi.hoisted(() => ({ device: null as Device | null }));
vi.mock('../../src/gpu/device.ts', async (original) => {
  const real = await original<typeof import('../../src/gpu/device.ts')>();
  return {
    ...real,
    openDevice: async (...args: Parameters<typeof real.openDevice>) =>
      (lost.device = await real.openDevice(...args)),
  };
});

test('a lost device ends a run in one sentence, with the checkpoint from before written', async () => {
  const out = at('lost');
  const said = vi.spyOn(process.stdout, 'write').mockReturnValue(true);
  const warned = vi.spyOn(process.stderr, 'write').mockImplementation((text) => {
    if (String(text).includes('step 4:')) lost.device!.raw.destroy();
    return true;
  });
  try {
    await expect(
      finetuneCommand(finetune({ out, steps: '1000', 'eval-every': '2' }).slice(1)),
    ).rejects.toMatchObject({
      kind: 'device-lost',
      message: expect.stringMatching(
        /^The GPU device was lost\. The checkpoint of step \d+ is in .*--resume/,
      ),
    });
  } finally {
    said.mockRestore();
    warned.mockRestore();
  }
  const resumed = finetune({ out: at('found'), steps: '6', resume: join(out, 'checkpoint.safetensors') });
  const { code, stdout, stderr } = await papilio([...resumed, '--json']);
  expect(code, lastSaid(stderr)).toBe(0);
  expect((JSON.parse(stdout) as { loss: { curve: number[] } }).loss.curve).toHaveLength(6);
  // The adapter of tests is software, where nothing is tuned unless somebody asks for it.
  expect((await recordIn(at('found'))).tuning).toBe(null);
});
