/**
 * `papilio compare --model M --data D --budget N --methods a,b`: methods on one task at (nearly) equal trainable parameters, as a table in Markdown
 * and as JSON.
 */
import { join } from 'node:path';
import process from 'node:process';
import { parseArgs } from 'node:util';
import { METHODS, type MethodId, methodById } from '../adapters/registry.ts';
import { startOf } from '../app/presets.ts';
import { fail } from '../lib/errors.ts';
import { runSweep } from '../training/sweep.ts';
import { sweepMarkdown } from '../training/sweepTable.ts';
import type { SweepRequest } from '../training/sweepTypes.ts';
import { openExecutor } from './executor.ts';
import { adapterConfig, options as finetuneOptions, required, trainingSettings } from './finetuneOptions.ts';
import { progressBar } from './progress.ts';
import { writeBytes } from './runtime.ts';
import { dataSource, modelSource, surroundings } from './sources.ts';

const options = {
  ...finetuneOptions,
  budget: { type: 'string' },
  methods: { type: 'string' },
} as const;

export async function compareCommand(args: readonly string[]): Promise<number> {
  const { values } = parseArgs({ args: [...args], options });
  const [modelWord, dataWord] = [required(values, 'model'), required(values, 'data')];
  const budget = Number(required(values, 'budget'));
  if (!Number.isInteger(budget) || budget < 1)
    fail('bad-argument', `--budget takes a number of parameters, not "${values.budget}".`);
  const methods = (values.methods ?? 'oft,boft,fourierft,lora').split(',').map((word) => methodById(word).id);
  const given = await adapterConfig(values.config);
  const { target_modules, modules_to_save } = startOf('oft', modelWord.replace(/^embedded:/, '')).config;
  const request: SweepRequest = {
    model: await modelSource(modelWord),
    data: await dataSource(dataWord),
    methods,
    budget,
    where: {
      target_modules: target_modules ?? 'all-linear',
      ...(modules_to_save ? { modules_to_save } : {}),
      ...given,
    },
    training: trainingSettings(values, methods[0]!),
    ...(values.lr === undefined
      ? {}
      : { learningRates: Object.fromEntries(methods.map((m) => [m, Number(values.lr)])) }),
  };
  const on = await openExecutor(values);
  const stopping = new AbortController();
  const onSignal = () => stopping.abort();
  process.once('SIGINT', onSignal);
  const bar = progressBar('compare');
  const { vendor, architecture, description } = on.info;
  const where = `${[vendor, architecture, description].filter(Boolean).join(', ')} (${on.runtime})`;
  const title = (method: MethodId) => METHODS[method].title;
  try {
    const report = await runSweep(
      request,
      { on: on.engines, where, around: surroundings, signal: stopping.signal },
      (event) => {
        if (event.type === 'step') bar.update(event.step, event.total, title(event.method));
        else if (event.type === 'refused')
          process.stderr.write(`${title(event.method)} takes no part: ${event.reason}\n`);
      },
    );
    bar.end();
    const markdown = sweepMarkdown(report);
    const record = {
      model: modelWord,
      data: dataWord,
      budget,
      where: request.where,
      training: request.training,
      ...report,
      runtime: on.runtime,
      device: on.info,
      date: new Date().toISOString(),
    };
    if (values.out !== undefined) {
      const note = `# Methods at ${budget} parameters\n\n${modelWord} on ${dataWord}, ${record.date.slice(0, 10)}.\n\n`;
      await writeBytes(join(values.out, 'methods.md'), note + markdown);
      await writeBytes(join(values.out, 'methods.json'), `${JSON.stringify(record, null, 2)}\n`);
    }
    process.stdout.write(values.json ? `${JSON.stringify(record)}\n` : markdown);
    return report.isWhole ? 0 : 130;
  } finally {
    process.off('SIGINT', onSignal);
    on.close();
  }
}
