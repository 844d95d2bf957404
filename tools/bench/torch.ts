/**
 * The same step in PyTorch + PEFT, where Python has them and a GPU: a model of the subject's shape with weights drawn anew, fp32 without TF32, each
 * method in turn. The script is torch_step.py.
 */
import { spawn } from 'node:child_process';
import { join } from 'node:path';
import process from 'node:process';
import type { MethodId } from '../../src/adapters/registry.ts';
import type { Subject } from './subjects.ts';

export interface TorchResult {
  readonly device: string;
  readonly versions: string;
  readonly methods: Readonly<Record<string, { readonly secondsPerStep: number; readonly trainable: number }>>;
}

/** What the script needs of it; PEFT's names are ours. */
const TYPES: readonly MethodId[] = ['lora', 'boft', 'oft', 'fourierft'];

/** Lines to show, and the figures; without them where they cannot be measured, which the lines then say. */
export async function benchTorch(
  subject: Subject,
  methods: readonly MethodId[],
  steps: number,
): Promise<{ readonly lines: readonly string[]; readonly result: TorchResult | null }> {
  const { shape } = subject.peer;
  if (shape.family !== 'gpt2')
    return { lines: ['PyTorch + PEFT: only for the subjects of GPT-2’s shape.'], result: null };
  const { config } = subject.model;
  const asked = {
    layers: shape.layers,
    heads: shape.heads,
    width: Number(config.n_embd),
    vocabulary: subject.vocabulary,
    batch: subject.batchSize,
    sequence: subject.sequence,
    steps,
    methods: Object.fromEntries(TYPES.filter((m) => methods.includes(m)).map((m) => [m, subject.configs[m]])),
  };
  const answer = await python(JSON.stringify(asked));
  if ('missing' in answer)
    return { lines: [`PyTorch + PEFT: not measured, ${answer.missing}.`], result: null };
  const rows = Object.entries(answer.result.methods).map(
    ([method, { secondsPerStep, trainable }]) =>
      `  ${method.padEnd(10)} ${secondsPerStep.toPrecision(3)} s/step, ${trainable} numbers`,
  );
  return {
    lines: [
      `PyTorch + PEFT on ${answer.result.device} (${answer.result.versions}), weights drawn anew:`,
      ...rows,
    ],
    result: answer.result,
  };
}

type Answer = { readonly result: TorchResult } | { readonly missing: string };

/** Runs the script with `asked` on its standard input. */
function python(asked: string): Promise<Answer> {
  const script = join(process.cwd(), 'tools', 'bench', 'torch_step.py');
  return new Promise((resolve) => {
    const child = spawn(process.env.PYTHON ?? 'python3', [script], { stdio: ['pipe', 'pipe', 'inherit'] });
    let out = '';
    child.stdout.on('data', (part) => {
      out += part;
    });
    child.stdin.on('error', () => {});
    child.on('error', () => resolve({ missing: 'there is no python3' }));
    child.on('close', (code) => {
      const line = out.trim().split('\n').at(-1) ?? '';
      if (code !== 0 || !line.startsWith('{')) resolve({ missing: `torch_step.py ended with ${code}` });
      else resolve(JSON.parse(line) as Answer);
    });
    child.stdin.end(asked);
  });
}
