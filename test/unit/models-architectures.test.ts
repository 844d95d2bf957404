/** The embedded architectures: modules and sizes as Hugging Face has them, small enough to ship. */
import { readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { parseOptions } from '../../src/cli/options.ts';
import { cliHost } from '../../src/cli/sources.ts';
import { embeddedFiles, embeddedModels } from '../../src/models/catalogue.ts';
import { importModel } from '../../src/models/import/importModel.ts';
import { encodeModel } from '../../src/onnx/encode.ts';
import type { OnnxModel } from '../../src/onnx/types.ts';
import { openModel } from '../../src/training/openModel.ts';
import { reportModel } from '../../src/training/reports.ts';
import {
  glyphsVit,
  glyphsVitConfig,
  glyphsVitDefaults,
} from '../../tools/pretrain/architectures/glyphsVit.ts';
import { talesGpt, talesGptConfig, talesGptDefaults } from '../../tools/pretrain/architectures/talesGpt.ts';
import { pretrainCommand } from '../../tools/pretrain/pretrain.ts';

const MOST_BYTES = 4 * 1024 * 1024;

const shapes = (model: OnnxModel): Record<string, readonly number[]> =>
  Object.fromEntries(
    importModel(model).modules.flatMap((m) => Object.values(m.parameters).map((p) => [p.value, p.shape])),
  );

describe('glyphs-vit', () => {
  const model = glyphsVit();

  test('has the parameters of Dinov2ForImageClassification', () => {
    const expected: Record<string, readonly number[]> = {
      'dinov2.embeddings.cls_token': [1, 1, 128],
      'dinov2.embeddings.position_embeddings': [1, 17, 128],
      'dinov2.embeddings.patch_embeddings.projection.weight': [128, 64],
      'dinov2.embeddings.patch_embeddings.projection.bias': [128],
      'dinov2.layernorm.weight': [128],
      'dinov2.layernorm.bias': [128],
      'classifier.weight': [10, 256],
      'classifier.bias': [10],
    };
    for (let i = 0; i < 4; i++) {
      const layer = `dinov2.encoder.layer.${i}`;
      for (const name of ['query', 'key', 'value']) {
        expected[`${layer}.attention.attention.${name}.weight`] = [128, 128];
        expected[`${layer}.attention.attention.${name}.bias`] = [128];
      }
      expected[`${layer}.attention.output.dense.weight`] = [128, 128];
      expected[`${layer}.attention.output.dense.bias`] = [128];
      expected[`${layer}.mlp.fc1.weight`] = [512, 128];
      expected[`${layer}.mlp.fc1.bias`] = [512];
      expected[`${layer}.mlp.fc2.weight`] = [128, 512];
      expected[`${layer}.mlp.fc2.bias`] = [128];
      for (const norm of ['norm1', 'norm2']) {
        expected[`${layer}.${norm}.weight`] = [128];
        expected[`${layer}.${norm}.bias`] = [128];
      }
      for (const scale of ['layer_scale1', 'layer_scale2']) expected[`${layer}.${scale}.lambda1`] = [128];
    }
    expect(shapes(model)).toEqual(expected);
  });

  test('ships in 4 MB and is the same for the same seed', () => {
    const bytes = encodeModel(model);
    expect(bytes.length).toBeLessThan(MOST_BYTES);
    expect(Buffer.compare(encodeModel(glyphsVit()), bytes)).toBe(0);
    expect(Buffer.compare(encodeModel(glyphsVit({ seed: 2 })), bytes)).not.toBe(0);
  });

  test('its config counts its labels', () => {
    const config = glyphsVitConfig(glyphsVitDefaults, ['a', 'b']);
    expect(config).toMatchObject({
      model_type: 'dinov2',
      id2label: { 0: 'a', 1: 'b' },
      label2id: { a: 0, b: 1 },
    });
    expect(importModel(model, { config }).family).toBe('dinov2');
  });
});

describe('tales-gpt', () => {
  const model = talesGpt();

  test('has the parameters of LlamaForCausalLM', () => {
    const expected: Record<string, readonly number[]> = {
      'model.embed_tokens.weight': [1024, 128],
      'model.norm.weight': [128],
      'lm_head.weight': [1024, 128],
    };
    for (let i = 0; i < 4; i++) {
      const layer = `model.layers.${i}`;
      for (const name of ['q_proj', 'k_proj', 'v_proj', 'o_proj'])
        expected[`${layer}.self_attn.${name}.weight`] = [128, 128];
      expected[`${layer}.mlp.gate_proj.weight`] = [256, 128];
      expected[`${layer}.mlp.up_proj.weight`] = [256, 128];
      expected[`${layer}.mlp.down_proj.weight`] = [128, 256];
      expected[`${layer}.input_layernorm.weight`] = [128];
      expected[`${layer}.post_attention_layernorm.weight`] = [128];
    }
    expect(shapes(model)).toEqual(expected);
  });

  test('ships in 4 MB and is a decoder of about a million parameters', () => {
    expect(encodeModel(model).length).toBeLessThan(MOST_BYTES);
    const count = Object.values(shapes(model)).reduce((n, s) => n + s.reduce((a, b) => a * b, 1), 0);
    expect(count).toBeGreaterThan(850_000);
    const imported = importModel(model, { config: talesGptConfig(talesGptDefaults) });
    expect([imported.family, imported.decoder]).toEqual(['llama', true]);
  });
});

test('the catalogue names the files of each model', () => {
  for (const { name, files } of embeddedModels) {
    expect(embeddedFiles(name)[0]).toEqual({ name: 'model.onnx', path: `models/${name}/model.onnx` });
    expect(files).toContain('config.json');
  }
  expect(() => embeddedFiles('nothing')).toThrow('glyphs-vit and tales-gpt');
});

test('the card of each model is that of its file, and names a command that makes it', async () => {
  for (const { name } of embeddedModels) {
    const card = JSON.parse(readFileSync(`public/models/${name}/card.json`, 'utf8')) as {
      readonly made: { readonly command: string };
    };
    const opened = await openModel({ kind: 'embedded', name }, cliHost);
    const { made, ...report } = card;
    expect(reportModel(opened, name)).toMatchObject(report);
    const [first, ...words] = made.command.replace(/^npm run -s papilio -- pretrain /, '').split(' ');
    expect(first).toBe(name);
    expect(() => parseOptions(pretrainCommand.spec, words)).not.toThrow();
  }
});
