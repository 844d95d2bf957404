/** "Continue in Python": the project of every method compiles, says every setting of the run, and names nobody's machine. */
import { spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { METHODS, type MethodId } from '../../src/adapters/registry.ts';
import { readSafetensors } from '../../src/adapters/safetensors.ts';
import { decodePng } from '../../src/data/files/png.ts';
import type { InputFile } from '../../src/lib/bytes.ts';
import { encodePng } from '../../src/python/rows.ts';
import { literal } from '../../src/python/settings.ts';
import type { Engine, MakeEngine } from '../../src/training/engine.ts';
import type { RunRequest } from '../../src/training/protocol.ts';
import { sessionProject } from '../../src/training/python.ts';
import { openSession } from '../../src/training/session.ts';
import { testHost, tinyLanguage, tinyRequest, tinyText, tinyVision } from '../gpu/tinyRuns.ts';
import { findPython } from '../tools/machine.mjs';

const folder = mkdtempSync(join(tmpdir(), 'papilio-python-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

function python(args: readonly string[]): string {
  const found = findPython();
  if (found === undefined) throw new Error('Python 3 is needed here: install python3.');
  const { status, stdout, stderr } = spawnSync(found, args, { encoding: 'utf8' });
  expect(stderr).toBe('');
  expect(status).toBe(0);
  return stdout;
}

/** Keeps the first numbers and does nothing else. */
const idle: MakeEngine = async ({ initial }) =>
  ({
    onResult: () => {},
    settle: async () => {},
    readState: async () => initial(),
    writeState: () => {},
    states: new Map(),
    destroy: () => {},
  }) as unknown as Engine;

async function projectOf(request: RunRequest) {
  const session = await openSession({ engine: idle }, request, testHost);
  return sessionProject(session);
}

const vision = ['query', 'value', 'mlp.fc1'];
const language = ['q_proj', 'down_proj'];

function requestFor(method: MethodId, isText: boolean): RunRequest {
  const { targets } = METHODS[method];
  const head = isText ? ['lm_head'] : ['classifier'];
  const config = {
    ...(targets === 'required' ? { target_modules: isText ? language : vision } : {}),
    ...(method === 'ia3' ? { feedforward_modules: [] } : {}),
    ...(method === 'fourierft' ? { n_frequency: 20 } : {}),
    ...(method === 'oft' ? { oft_block_size: 4 } : {}),
    ...(targets === 'none' || !isText ? { modules_to_save: head } : {}),
  };
  // Every setting at a value that is not its default.
  const training = {
    optimizer: 'sgd' as const,
    learningRate: 0.0123,
    schedule: 'linear' as const,
    warmupSteps: 3,
    weightDecay: 0.07,
    beta1: 0.81,
    beta2: 0.97,
    epsilon: 2e-7,
    momentum: 0.55,
    maxGradNorm: 0.75,
    batchSize: 6,
    gradientAccumulation: 2,
    sequenceLength: 11,
    steps: 77,
    epochs: 1.5,
    evalEvery: 9,
    evalExamples: 13,
    seed: 4321,
  };
  return tinyRequest({
    method,
    config,
    training,
    ...(isText ? { model: tinyLanguage(), data: tinyText } : {}),
  });
}

const textOf = (files: readonly InputFile[], name: string) =>
  new TextDecoder().decode(files.find((f) => f.name === name)!.bytes);

const defaults = (
  JSON.parse(readFileSync('test/fixtures/peft/config_defaults.json', 'utf8')) as {
    defaults: Record<string, Record<string, unknown>>;
  }
).defaults;

const constantOf = (field: string) => field.replace(/[A-Z]/g, (c) => `_${c}`).toUpperCase();

describe.each(Object.keys(METHODS) as MethodId[])('%s', (method) => {
  it.each(['pictures', 'text'])('makes a project from %s', async (task) => {
    const isText = task === 'text';
    const request = requestFor(method, isText);
    const { files } = await projectOf(request);
    const out = join(folder, `${method}-${task}`);
    for (const { name, bytes } of files) {
      mkdirSync(dirname(join(out, name)), { recursive: true });
      writeFileSync(join(out, name), bytes);
    }
    const scripts = files.map((f) => f.name).filter((name) => name.endsWith('.py'));
    expect(scripts.sort()).toEqual(['data.py', 'model.py', 'settings.py', 'train.py']);
    python(['-m', 'py_compile', ...scripts.map((name) => join(out, name))]);

    const show =
      'import json, runpy, sys; print(json.dumps({k: v for k, v in runpy.run_path(sys.argv[1]).items() if k.isupper()}))';
    const said = JSON.parse(python(['-c', show, join(out, 'settings.py')])) as Record<string, unknown>;
    for (const [field, value] of Object.entries(request.training))
      expect(said[constantOf(field)], field).toBe(value);
    expect(said).toMatchObject({
      METHOD: method,
      BASE: 'base',
      TASK: isText ? 'causal-lm' : 'image-classification',
    });

    const { peftType } = METHODS[method];
    if (defaults[peftType] === undefined) {
      expect(said.IS_PEFT).toBe(false);
      expect(files.some((f) => f.name === 'trained.safetensors')).toBe(true);
      expect(files.some((f) => f.name.startsWith('adapter/'))).toBe(false);
    } else {
      const config = JSON.parse(textOf(files, 'adapter/adapter_config.json')) as Record<string, unknown>;
      expect(Object.keys(config).sort()).toEqual(Object.keys(defaults[peftType]).sort());
    }
  });
});

describe('the data of a project', () => {
  it('is every picture of the split, in its own numbers', async () => {
    const { files, warnings } = await projectOf(requestFor('lora', false));
    const rows = textOf(files, 'data/train.jsonl')
      .trim()
      .split('\n')
      .map((l) => JSON.parse(l));
    expect(JSON.parse(textOf(files, 'labels.json'))).toEqual(['class 0', 'class 1', 'class 2']);
    const picture = decodePng(Uint8Array.from(atob(rows[0].image), (c) => c.charCodeAt(0)));
    expect([picture.width, picture.height]).toEqual([8, 8]);
    expect(rows.length + textOf(files, 'data/held.jsonl').trim().split('\n').length).toBe(42);
    expect(warnings.some((w) => w.includes('name on the Hub'))).toBe(true);
  });

  it('is the windows of a text as the run cut them', async () => {
    const { files } = await projectOf(requestFor('lora', true));
    const rows = textOf(files, 'data/train.jsonl')
      .trim()
      .split('\n')
      .map((l) => JSON.parse(l));
    expect(rows[0].input_ids).toHaveLength(11);
    expect(rows[0].labels).toBeUndefined();
    expect(rows.map((r: { text: string }) => r.text).join('')).toContain('the cat sat on the mat');
  });
});

describe('the base of a project', () => {
  it("has PyTorch's names and shapes", async () => {
    const { files } = await projectOf(requestFor('lora', false));
    const { tensors } = readSafetensors(files.find((f) => f.name === 'base/model.safetensors')!.bytes);
    const layer = 'dinov2.encoder.layer.0';
    expect(tensors.get('dinov2.embeddings.patch_embeddings.projection.weight')?.shape).toEqual([16, 1, 4, 4]);
    expect(tensors.get('dinov2.embeddings.cls_token')?.shape).toEqual([1, 1, 16]);
    expect(tensors.get('dinov2.embeddings.position_embeddings')?.shape).toEqual([1, 5, 16]);
    expect(tensors.get(`${layer}.attention.attention.query.weight`)?.shape).toEqual([16, 16]);
    expect(tensors.get(`${layer}.mlp.fc1.weight`)?.shape).toEqual([32, 16]);
    expect(tensors.get(`${layer}.layer_scale1.lambda1`)?.shape).toEqual([16]);
    expect(tensors.get('classifier.weight')?.shape).toEqual([3, 32]);
    expect(tensors.size).toBe(26);
  });

  it('holds a linear weight the way PyTorch does, whichever way the file has it', async () => {
    const { files } = await projectOf(requestFor('full', false));
    const read = (name: string) => readSafetensors(files.find((f) => f.name === name)!.bytes).tensors;
    const [base, trained] = [read('base/model.safetensors'), read('trained.safetensors')];
    expect(trained.size).toBeGreaterThan(20);
    // Nothing has been trained, so both tell the same of every weight.
    for (const [name, tensor] of trained) {
      expect(base.get(name)?.shape, name).toEqual(tensor.shape);
      expect(Buffer.from(base.get(name)!.bytes).equals(Buffer.from(tensor.bytes)), name).toBe(true);
    }
  });
});

describe('the files beside the model', () => {
  const beside = (name: string, content: string) => ({ name, bytes: new TextEncoder().encode(content) });
  const withFiles = (...more: ReturnType<typeof beside>[]) => {
    const model = tinyLanguage();
    return projectOf({ ...requestFor('lora', true), model: { ...model, files: [...model.files, ...more] } });
  };

  it('go along as they are where they are no JSON', async () => {
    const files = [
      beside('chat_template.jinja', "{% for m in messages %}{{ m['content'] }}{% endfor %}"),
      beside('merges.txt', '#version: 0.2\nt h\n'),
      beside('vocab.txt', '[PAD]\n{\n'),
      beside('notes.json', '["no", "object"]'),
      beside('added_tokens.json', '7'),
    ];
    const project = await withFiles(...files, beside('generation_config.json', '{"token": "s", "top_k": 3}'));
    for (const { name, bytes } of files)
      expect(project.files.find((f) => f.name === `base/${name}`)?.bytes, name).toEqual(bytes);
    expect(JSON.parse(textOf(project.files, 'base/generation_config.json'))).toEqual({ top_k: 3 });
  });

  it('are named where they should be JSON and are none', async () => {
    for (const content of ['{', '', 'top_k = 3', '\u0000'])
      await expect(withFiles(beside('generation_config.json', content))).rejects.toMatchObject({
        kind: 'malformed-file',
        message: expect.stringContaining('generation_config.json'),
      });
  });
});

describe('a project', () => {
  const place = '/srv/of someone/model';
  const secret = 'abc_SECRET_def';

  it('keeps paths and tokens of the machine to itself', async () => {
    const model = tinyVision();
    const files = model.files.map((f) =>
      f.name === 'config.json'
        ? {
            ...f,
            bytes: new TextEncoder().encode(
              JSON.stringify({
                ...JSON.parse(new TextDecoder().decode(f.bytes)),
                _name_or_path: place,
                token: secret,
              }),
            ),
          }
        : f,
    );
    const request = requestFor('lora', false);
    const project = await projectOf({
      ...request,
      model: { ...model, files },
      config: { ...request.config, base_model_name_or_path: place },
    });
    for (const { name, bytes } of project.files) {
      const text = Buffer.from(bytes).toString('latin1');
      expect(text.includes(place), name).toBe(false);
      expect(text.includes(secret), name).toBe(false);
    }
  });

  it('takes the base from the Hub where the adapter names it', async () => {
    const request = requestFor('lora', false);
    const project = await projectOf({
      ...request,
      config: { ...request.config, base_model_name_or_path: 'facebook/dinov2-small' },
    });
    expect(textOf(project.files, 'settings.py')).toContain('BASE = "facebook/dinov2-small"');
    expect(project.files.some((f) => f.name.startsWith('base/'))).toBe(false);
  });

  it('says that several butterfly factors need what most installations lack', async () => {
    const request = requestFor('boft', false);
    const at = (boft_n_butterfly_factor: number) =>
      projectOf({ ...request, config: { ...request.config, boft_n_butterfly_factor } });
    expect((await at(2)).warnings.join()).toContain('2 butterfly factors');
    expect((await at(1)).warnings.join()).not.toContain('butterfly');
  });
});

describe('what Python reads', () => {
  it('is written as Python spells it', () => {
    expect(literal({ a: [1, null, true], 'b"\n': 'x"\\' })).toBe(
      '{"a": [1, None, True], "b\\"\\n": "x\\"\\\\"}',
    );
  });

  it('is PNG that a decoder gives back', () => {
    const samples = Uint8Array.from({ length: 3 * 5 * 4 }, (_, i) => (i * 37) & 255);
    const { rgba } = decodePng(encodePng(samples, 5, 4, 3));
    const back = Array.from({ length: 60 }, (_, i) => rgba[4 * (i % 20) + Math.floor(i / 20)]);
    expect(back).toEqual([...samples]);
  });
});
