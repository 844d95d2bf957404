/**
 * `papilio compare --model M --data D --budget N --methods a,b`: methods on one task at (nearly) equal trainable parameters, as a table in Markdown
 * and as JSON.
 */
import process from 'node:process';
import { fail } from '../common.ts';
import { shown } from '../hub.ts';
import { METHODS, type MethodId, methodById } from '../methods.ts';
import { type MethodComparisonRequest, methodComparisonMarkdown, provenance } from '../protocol.ts';
import { compareMethods } from '../trainer.ts';
import { engineOptions, openEngine, runtimeOf } from './engine.ts';
import {
  adapterConfig,
  DATA_NOTES,
  dataOptions,
  dataTable,
  taskOptions,
  trainingOptions,
  trainingSettings,
} from './finetuneOptions.ts';
import { command, type OptionTable, overwriteOption, type Values } from './options.ts';
import { withOut } from './outFolder.ts';
import { writeInto } from './runtime.ts';
import { cliHost, dataSource, modelSource } from './sources.ts';
import { note, print, progressBar } from './terminal.ts';

const options = {
  ...taskOptions,
  ...dataTable,
  methods: {
    type: 'string',
    default: 'oft,boft,fourierft,lora',
    about: 'the methods, with commas between them',
    group: 'Model',
  },
  budget: {
    type: 'number',
    required: true,
    about: 'trainable parameters of each method, as nearly as it can',
    group: 'Model',
  },
  ...trainingOptions,
  out: { type: 'string', value: 'DIR', about: 'where methods.md and methods.json go', group: 'Output' },
  overwrite: { ...overwriteOption, group: 'Output' },
  json: { type: 'boolean', about: 'one line of figures instead of the table', group: 'Output' },
  ...engineOptions,
} as const satisfies OptionTable;

export const compareCommand = command(
  {
    name: 'compare',
    about: 'Trains several methods on one task at equal trainable parameters, side by side.',
    options,
    notes: DATA_NOTES,
  },
  compare,
);

type CompareValues = Values<typeof options>;

function compare(values: CompareValues): Promise<number> {
  const { out: path, overwrite } = values;
  const holds = ['methods.md', 'methods.json'];
  return withOut(path === undefined ? [] : [{ path, overwrite, holds }], () => compareInto(values));
}

async function compareInto(values: CompareValues): Promise<number> {
  const { budget } = values;
  // As they may be kept.
  const [modelWord, dataWord] = [shown(values.model), shown(values.data)];
  if (!Number.isInteger(budget) || budget < 1)
    fail('bad-argument', `--budget takes a number of parameters, not "${budget}".`);
  const methods = values.methods.split(',').map((word) => methodById(word).id);
  const given = await adapterConfig(values.config);
  const request: MethodComparisonRequest = {
    model: await modelSource(values.model),
    data: { ...(await dataSource(values.data)), ...dataOptions(values) },
    methods,
    budget,
    where: given,
    training: trainingSettings(values, methods[0]!),
    ...(values.lr === undefined
      ? {}
      : { learningRates: Object.fromEntries(methods.map((m) => [m, values.lr!])) }),
  };
  const on = await openEngine(values);
  const stopping = new AbortController();
  const onSignal = () => stopping.abort();
  process.once('SIGINT', onSignal);
  const bar = progressBar('compare', { isQuiet: values.json });
  const { vendor, architecture } = on.info;
  const where = [vendor, architecture, runtimeOf(on)].filter(Boolean).join(', ');
  const title = (method: MethodId) => METHODS[method].title;
  try {
    const report = await compareMethods(
      request,
      { on, where, host: cliHost, signal: stopping.signal },
      (event) => {
        if (event.type === 'step') bar.update(event.step, event.total, title(event.method));
        else if (event.type === 'refused') note(`${title(event.method)} takes no part: ${event.reason}\n`);
      },
    );
    bar.end();
    const markdown = methodComparisonMarkdown(report);
    const record = {
      model: modelWord,
      data: dataWord,
      budget,
      where: request.where,
      training: request.training,
      ...report,
      provenance: provenance(report.ranOn),
      runtime: runtimeOf(on),
      device: on.info,
      date: new Date().toISOString(),
    };
    if (values.out !== undefined) {
      const note = `# Methods at ${budget} parameters\n\n${modelWord} on ${dataWord}, ${record.date.slice(0, 10)}.\n\n`;
      await writeInto(values.out, 'methods.md', note + markdown);
      await writeInto(values.out, 'methods.json', `${JSON.stringify(record, null, 2)}\n`);
    }
    print(values.json ? `${JSON.stringify(record)}\n` : markdown);
    return report.isWhole ? 0 : 130;
  } finally {
    process.off('SIGINT', onSignal);
    on.close();
  }
}
