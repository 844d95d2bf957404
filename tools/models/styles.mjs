/**
 * Writes into test/fixtures/models what other tools than torch's TorchScript exporter leave: torch's dynamo exporter, Optimum, the genai model builder,
 * onnxruntime's optimiser. The graphs come from the builders of the tests (test/tools/graphs*.ts), the tokenizers from the models beside them.
 *
 *     node tools/models/styles.mjs
 */
import { copyFileSync, mkdirSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import process from 'node:process';
import { fileURLToPath } from 'node:url';
import { createServer } from 'vite';

const root = join(dirname(fileURLToPath(import.meta.url)), '..', '..');
const out = join(root, 'test', 'fixtures', 'models');
const server = await createServer({
  root,
  server: { middlewareMode: true },
  appType: 'custom',
  logLevel: 'error',
});
const load = (path) => server.ssrLoadModule(path);
const { encodeModel } = await load('/src/onnx/encode.ts');
const { encoder, VOCABULARY, withLayers } = await load('/test/tools/graphs.ts');
const { dynamoNames } = await load('/test/tools/graphNames.ts');
const { builderLlama } = await load('/test/tools/graphsBuilder.ts');
const { optimisedBert, optimisedGpt2 } = await load('/test/tools/graphsContrib.ts');
const { decoder } = await load('/test/tools/graphsDecoders.ts');
const { deberta } = await load('/test/tools/graphsTowers.ts');
const { mergedDecoder } = await load('/test/tools/graphForms.ts');
const { quantiseFile } = await load('/test/tools/quantiseFile.ts');

const bert = { words: 'bert-classes', config: { model_type: 'bert' } };
const decoding = (model_type, tied = false) => ({
  words: 'llama',
  config: { model_type, tie_word_embeddings: tied },
});
const three = { 0: 'bad', 1: 'fair', 2: 'good' };

/** What is built, with how many layers (one unless told), whose tokenizer it takes, and what config.json says. */
const STYLES = {
  'dynamo-bert': {
    ...bert,
    build: () => dynamoNames(encoder({ family: 'bert', opset: 18 })),
    config: { ...bert.config, id2label: three, architectures: ['BertForSequenceClassification'] },
  },
  'dynamo-qwen3': {
    ...decoding('qwen3'),
    build: () => dynamoNames(decoder({ qkNorm: true, kvHeads: 2, attention: 'scaled factors' })),
  },
  'optimum-qwen3-merged-tied': {
    ...decoding('qwen3', true),
    build: () => mergedDecoder(decoder({ qkNorm: true, kvHeads: 2, tied: true })),
  },
  'genai-llama-int4': {
    ...decoding('llama'),
    layers: 2,
    build: () => quantiseFile(builderLlama({ attention: 'group-query', packed: true, cache: true })),
  },
  'optimiser-bert': {
    ...bert,
    build: () => optimisedBert({ mask: 'counted' }),
    config: { ...bert.config, id2label: three, architectures: ['BertForSequenceClassification'] },
  },
  'optimiser-gpt2': { ...decoding('gpt2', true), build: () => optimisedGpt2() },
  'deberta-bare': {
    ...bert,
    build: () => deberta(),
    config: { model_type: 'deberta-v2', architectures: ['DebertaV2Model'] },
  },
};

for (const [name, { build, words, layers = 1, config }] of Object.entries(STYLES)) {
  const folder = join(out, name);
  mkdirSync(folder, { recursive: true });
  const bytes = encodeModel(withLayers(layers, build));
  writeFileSync(join(folder, 'model.onnx'), bytes);
  writeFileSync(join(folder, 'config.json'), `${JSON.stringify({ ...config, vocab_size: VOCABULARY })}\n`);
  for (const file of ['tokenizer.json', 'tokenizer_config.json'])
    copyFileSync(join(out, words, file), join(folder, file));
  process.stdout.write(`${name.padEnd(24)} ${(bytes.length / 1000).toFixed(1)} kB\n`);
}
await server.close();
process.exit(0);
