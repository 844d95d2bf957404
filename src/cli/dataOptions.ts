/** The flags that say how data is read, and what `papilio finetune --help` prints. */
import { checkMapping } from '../data/files/columns.ts';
import { fail } from '../lib/errors.ts';
import type { DataOptions } from '../training/protocol.ts';
import { checkTask } from '../training/tasks.ts';
import type { Values } from './finetuneOptions.ts';

/** @throws PapilioError 'bad-argument' */
export function dataOptions(values: Values): { readonly options?: DataOptions } {
  const { columns, task, padding } = values;
  const keepClasses = values['keep-classes'] === true;
  if (padding !== undefined && padding !== 'length' && padding !== 'longest')
    fail('bad-argument', `--padding must be length or longest, not "${String(padding)}".`);
  const options: DataOptions = {
    ...(typeof columns === 'string' ? { mapping: checkMapping(parse(columns)) } : {}),
    ...(typeof task === 'string' ? { task: checkTask(task) } : {}),
    ...(keepClasses ? { keepClasses } : {}),
    ...(padding === 'length' || padding === 'longest' ? { padding } : {}),
  };
  return Object.keys(options).length > 0 ? { options } : {};
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch (error) {
    return fail(
      'bad-argument',
      `--columns is no JSON (${(error as Error).message}); give an object such as {"text": "review", "label": "stars"}.`,
    );
  }
}

/** What `finetune --help` prints. */
export const finetuneHelp = `papilio finetune --model MODEL --data DATA --method METHOD --out FOLDER [options]

Trains an adapter, evaluates on held-out examples, merges it and checks the merged file against onnxruntime.

  --model            an .onnx file, a folder with one, embedded:NAME, hub:OWNER/NAME or an address
  --method           oft, boft, fourierft, lora, … (an unknown name lists them all)
  --config           the method's settings as PEFT's adapter_config.json has them: JSON, or a file with it
  --adapter          instead of both: a folder with an adapter to go on from (adapter_config.json, adapter_model.safetensors)
  --out              where adapter, model.onnx, metrics.csv and run.json go

Data
  --data             a file, a folder, a .zip, embedded:NAME, hub:OWNER/NAME or an address:
                       .txt .md                       running text
                       .csv .tsv .json .jsonl .parquet  tables
                       .conll .bio .iob               words and tags, one per line
                       pictures                       one folder per class, or named by a table
                       idx files                      as MNIST has them
                     Names with train, validation or test are split as they say, others by --seed.
  --columns          which column is what, where it is not guessed: '{"text": "review", "label": "stars"}'
                     (text, pair, label, value, prompt, context, answer, system, messages, tokens, tags, image)
  --task             text-classification, token-classification, regression, image-classification, masked-lm or
                     causal-lm; default: what the model is made for
  --keep-classes     labels that the model does not have are errors, instead of reason for a new classifier
  --padding          length: short rows are batched with short ones (default); longest: all padded alike
  --sequence-length  tokens per example; longer rows are cut, which is said

Training
  --steps, --epochs, --batch-size, --accumulate, --lr, --schedule, --warmup, --optimizer, --weight-decay,
  --momentum, --max-grad-norm, --eval-every, --eval-examples, --seed, --resume,
  --python, --folder, --executor, --threads, --runtime, --json

Memory
  --precision        file (default), f16 or q4: what the base is rounded to while loading; quantised files stay as they are
  --quantised        requantise (default) or float: how changed layers of a quantised file are written
  --budget MIB       GPU memory that the run may take: activations are computed again where it fits only so
  --forecast         says what the run would take, and how it would fit into the budget, without starting it
  --recompute        computes activations again instead of keeping them: the same numbers in less memory and more time
`;
