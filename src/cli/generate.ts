/**
 * `papilio generate`: text from a language model, greedy unless a temperature is given; by the trainer's own forward pass or, with
 * `--engine onnxruntime`, by onnxruntime-web with the file's key-value cache.
 */
import { fail, rng } from '../common.ts';
import { promptIds, stopIds, type Tokenizer } from '../data.ts';
import { compile, createStore, openDevice, schedule } from '../engine.ts';
import { generate, nextTokenLogits, openSession } from '../inference.ts';
import { encodeModel } from '../onnx.ts';
import { ENGINES } from '../protocol.ts';
import {
  checkText,
  type LoadedModel,
  mostTokens,
  type OpenedModel,
  openModel,
  taskOf,
  tokenizerOf,
} from '../trainer.ts';
import { command, type OptionTable, type Values } from './options.ts';
import { openGpu } from './runtime.ts';
import { cliHost, modelSource } from './sources.ts';
import { note, print } from './terminal.ts';

interface Logits {
  /** Logits [vocabulary] of the token after `ids`. */
  next(ids: readonly number[]): Promise<Float32Array>;
  destroy(): void;
}

/** The model's forward pass at one length; shorter inputs are padded behind, which a causal model does not see. */
async function forwardPass(model: LoadedModel, length: number): Promise<Logits> {
  const device = await openDevice(await openGpu());
  const store = createStore(device);
  const { graph } = model.build(1, length);
  const program = await compile(device, store, schedule(graph, device.caps));
  return {
    async next(ids) {
      const padded = new Int32Array(length);
      padded.set(ids);
      program.write('input_ids', padded);
      program.run();
      const logits = (await program.read('logits')) as Float32Array;
      const vocabulary = logits.length / length;
      return logits.subarray((ids.length - 1) * vocabulary, ids.length * vocabulary);
    },
    destroy() {
      program.destroy();
      store.destroy();
      device.destroy();
    },
  };
}

/** The file itself in onnxruntime-web. */
async function ortPass(model: LoadedModel): Promise<Logits> {
  const session = await openSession(encodeModel(model.onnx));
  return {
    next: nextTokenLogits(session, model.feeds, { exactly: model.contract.exactly, padId: 0 }),
    destroy: () => void session.release(),
  };
}

const options = {
  model: {
    type: 'string',
    required: true,
    value: 'MODEL',
    about: 'an .onnx file, a folder with one, embedded:NAME, hub:OWNER/NAME or an https address',
  },
  prompt: { type: 'string', default: '', about: 'what the text begins with' },
  chat: { type: 'boolean', about: "the prompt is a user's message, answered in the model's chat format" },
  'max-tokens': { type: 'number', default: 100, about: 'tokens to write at most' },
  temperature: { type: 'number', default: 0, about: '0 always takes the likeliest token' },
  'top-p': { type: 'number', default: 1, about: 'draws among the likeliest tokens that sum up to this' },
  seed: { type: 'number', default: 1, about: 'starts the draws' },
  engine: {
    type: 'string',
    choices: ENGINES,
    default: 'webgpu',
    about: "the trainer's own forward pass, or onnxruntime-web with the file's key-value cache",
  },
  json: { type: 'boolean', about: 'token ids and text as JSON' },
} as const satisfies OptionTable;

export const generateCommand = command(
  { name: 'generate', about: 'Writes text with a language model.', options },
  write,
);

/** The ids that the text begins with, and those that end it. */
function asked(
  opened: OpenedModel,
  tokenizer: Tokenizer,
  prompt: string,
  isChat: boolean,
): { readonly ids: readonly number[]; readonly stop: ReadonlySet<number> } {
  if (isChat) {
    const format = opened.chat();
    return { ids: promptIds(format, tokenizer, prompt), stop: stopIds(format, tokenizer) };
  }
  const { prefix, eos } = tokenizer;
  const written = tokenizer.encode(prompt);
  // A prompt may bring the token that begins a text itself.
  const begins = prefix.length > 0 && prefix.every((id, k) => written[k] === id);
  const ids = begins ? written : [...prefix, ...written];
  return { ids: ids.length > 0 ? ids : [eos ?? 0], stop: new Set(eos === undefined ? [] : [eos]) };
}

async function write(values: Values<typeof options>): Promise<number> {
  const isOrt = values.engine === 'onnxruntime';
  const opened = await openModel(await modelSource(values.model), cliHost);
  if (taskOf(opened) !== 'causal-lm')
    return fail('bad-argument', `${opened.name} is no language model and writes no text.`);
  const tokenizer = tokenizerOf(opened);
  const { ids, stop } = asked(opened, tokenizer, values.prompt, values.chat === true);
  checkText(opened, ids, 'of the prompt');
  const limit = mostTokens(opened);
  const wanted = ids.length + values['max-tokens'];
  const context = Math.min(limit?.tokens ?? wanted, opened.model.contract.exactly ?? wanted, wanted);
  if (ids.length >= context)
    return fail(
      'bad-argument',
      `The prompt has ${ids.length} tokens, but the model reads ${context}${limit ? ` (${limit.because})` : ''}; shorten it.`,
    );
  if (context < wanted)
    note(
      `The text ends after ${context} tokens, the prompt's ${ids.length} among them: ${limit?.because ?? 'the file takes no more'}.\n`,
    );

  const length = opened.model.contract.exactly ?? context;
  const forward = isOrt ? await ortPass(opened.model) : await forwardPass(opened.model, length);
  const made: number[] = [];
  const tokens = generate({
    ids,
    maxNewTokens: context - ids.length,
    logits: forward.next,
    temperature: values.temperature,
    topP: values['top-p'],
    rng: rng(values.seed),
    stop,
  });
  for await (const id of tokens) made.push(id);
  // An answer stands alone, a text goes on.
  const text = tokenizer.decode(values.chat === true ? made : [...ids, ...made]);
  print(values.json ? `${JSON.stringify({ ids: [...ids, ...made], text })}\n` : `${text}\n`);
  forward.destroy();
  return 0;
}
