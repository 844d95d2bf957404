/**
 * The model card: figures of its own run, where base and data come from and what is known of their licences, how to run it, what was not checked; names from
 * files that are no Markdown. Seen to fail with: the score of the end in place of the one before, a heading that a data set's name makes, a licence for what is not known.
 */
import { readFileSync } from 'node:fs';
import { describe, expect, onTestFinished, test } from 'vitest';
import { METHODS } from '../../src/adapters/registry.ts';
import { type Phrases, say, speak } from '../../src/lib/say.ts';
import { type CardOf, modelCard } from '../../src/training/modelCard.ts';
import type { ParityReport } from '../../src/training/parity.ts';
import type { EvalMetric, OpenReport } from '../../src/training/protocol.ts';
import { trainingSchema } from '../../src/training/settings.ts';
import { onnxruntimeSnippet, transformersSnippet } from '../../src/training/snippets.ts';
import { visionReport } from './page-fixtures.ts';

const metric = (step: number, value: number, loss: number): EvalMetric => ({
  ...{ step, value, loss, metric: 'accuracy', examples: 40 },
});

function cardOf(sources: Partial<CardOf['sources']> = {}, data: Partial<OpenReport['data']> = {}): CardOf {
  const picture = {
    width: 32,
    height: 32,
    channels: 1,
    mean: [0.5],
    std: [0.5],
    tones: { ground: 0, stroke: 1 as const },
  };
  const sentence = 'The merged file answers as the trained model does: …';
  return {
    name: 'brave-otter',
    method: METHODS.boft,
    config: { boft_block_size: 4, target_modules: ['query'], exclude_modules: null, rank_pattern: {} },
    training: trainingSchema.parse({ steps: 3 }),
    ...{ steps: 3, loss: 2 / 3 },
    scores: [metric(0, 0.125, 3.5), metric(3, 0.875, 0.25)],
    sources: {
      model: { kind: 'embedded', name: 'glyphs-vit' },
      data: { kind: 'embedded', name: 'letters' },
      ...sources,
    },
    open: {
      model: visionReport(),
      data: {
        ...{ name: 'letters', kind: 'image', labels: ['A', 'B'], picture, notes: ['第 2 行为空。'] },
        notesInEnglish: ['2 rows were empty.'],
        ...{ trainExamples: 100, heldExamples: 40, ...data },
      },
      device: { engine: 'webgpu', vendor: 'v', architecture: 'a', description: 'd', isSoftware: false },
      counts: { trainable: { stored: 1234, free: 617 } },
      warningsInEnglish: ['the classifier is new'],
    },
    merged: {
      inputs: [{ name: 'pixel_values', dtype: 'float32', dims: ['batch', 1, 32, 32] }],
      outputs: [{ name: 'logits', dtype: 'float32', dims: ['batch', 2] }],
      sidecars: [{ name: 'config.json', bytes: new Uint8Array(0) }],
      parity: {
        sentence: '合并文件的回答一致。',
        english: sentence,
        values: 52,
        provider: 'wasm',
      } as ParityReport,
    },
    remarks: () => [say`It was stopped early.`],
  };
}

describe('a model card', () => {
  const of = cardOf();
  const card = modelCard(of);

  test('begins as the Hub reads it', () => {
    expect(card.split('\n').slice(0, 6)).toEqual([
      '---',
      'library_name: transformers.js',
      'pipeline_tag: image-classification',
      'tags: [onnx, papilio, boft, dinov2]',
      '---',
      '',
    ]);
  });

  test('is in English, whatever is spoken', () => {
    const phrases = JSON.parse(readFileSync('src/languages/zh-Hans.json', 'utf8')) as Phrases;
    speak({ locale: 'zh-Hans', phrases });
    onTestFinished(() => speak());
    expect(of.remarks()).toEqual(['检查被提前停止。']);
    expect(modelCard(of)).toBe(card);
    expect(card).not.toMatch(/\p{Script=Han}/u);
  });

  test('has the figures of its run, before and after, with what they are of', () => {
    expect(card).toContain('| | before | after step 3 |');
    expect(card).toContain('| held-out accuracy | 12.5 % | 87.5 % |');
    expect(card).toContain('| held-out loss | 3.500 | 0.2500 |');
    expect(card).toContain('Both on 40 examples.');
    expect(card).toContain('Loss of the last step: 0.6667.');
    expect(card).toContain('1,234 numbers trained (617 free), 3 steps, by WebGPU');
    for (const said of [
      of.merged.parity!.english,
      ...of.remarks(),
      ...of.open.warningsInEnglish,
      ...of.open.data.notesInEnglish,
    ])
      expect(card).toContain(said);
  });

  test('says the method and the settings as they were, and runs as the snippets do', () => {
    const [, json] = /```json\n([\s\S]*?)\n```/.exec(card)!;
    const { method, config, training } = JSON.parse(json!);
    expect([method, config, training]).toEqual([
      'boft',
      { boft_block_size: 4, target_modules: ['query'] },
      of.training,
    ]);
    const exported = {
      ...{
        name: 'brave-otter',
        file: 'onnx/model.onnx',
        inputs: of.merged.inputs,
        outputs: of.merged.outputs,
      },
      ...{ files: ['config.json'], data: of.open.data, model: of.open.model },
    };
    for (const snippet of [onnxruntimeSnippet(exported), transformersSnippet(exported)])
      expect(card).toContain('code' in snippet ? snippet.code.trimEnd() : 'no snippet');
  });

  test('says what was not checked', () => {
    const [, unchecked] = card.split('## What was not checked');
    expect(unchecked).toMatch(/anything but the held-out examples \(40 examples\)/);
    expect(unchecked).toMatch(/onnxruntime-web \(wasm\), where 52 numbers were compared/);
    expect(unchecked).toContain('written, not run');
    expect(unchecked).toContain('Bias, safety');
  });

  test('names the licence where it is known, the page where it stands, or that it is not known', () => {
    expect(card).toMatch(/- Base: `glyphs-vit`, which comes with Papilio.*\n- Its licence MIT, as Papilio/);
    const hub = modelCard(
      cardOf({
        model: { kind: 'hub', repo: 'makers/vit', revision: 'c0ffee' },
        data: { kind: 'hub', repo: 'makers/days' },
      }),
    );
    expect(hub).toContain('base_model: makers/vit');
    expect(hub).toContain('`makers/vit` of the Hub at `c0ffee`');
    expect(hub).toContain('was not read: what https://huggingface.co/makers/vit says');
    expect(hub).toContain('https://huggingface.co/datasets/makers/days');
    expect(hub).not.toContain('MIT');
    const own = modelCard(cardOf({ model: { kind: 'files', files: [] }, data: { kind: 'text', text: 'x' } }));
    expect(own.match(/is not known to Papilio: whoever publishes this must look it up/g)).toHaveLength(2);
    expect(own).not.toMatch(/MIT|base_model/);
    const web = { kind: 'url', url: 'https://example.org/a.onnx' } as const;
    const fetched = modelCard(cardOf({ model: web, data: web }));
    expect(fetched).toContain('`https://example.org/a.onnx`');
    expect(fetched.match(/is not known to Papilio: whoever publishes this must look it up/g)).toHaveLength(2);
  });

  test('lets no name become a part of its own', () => {
    const name = 'x`\n# Buy this\n---\n<script>';
    const hostile = modelCard(
      cardOf({}, { name, labels: ['`a`\n## b', ...Array.from({ length: 30 }, (_, i) => `c${i}`)] }),
    );
    expect(hostile.split('\n').filter((line) => line.startsWith('#'))).toEqual(
      card.split('\n').filter((line) => line.startsWith('#')),
    );
    expect(hostile.split('\n').filter((line) => line === '---')).toHaveLength(2);
    expect(hostile).toContain('and 11 more.');
  });
});
