/** The commands: finds the one that is asked for, runs it, and turns errors into one sentence and an exit code. */
import { closest, PapilioError } from '../common.ts';
import type { SpecifiedCommand } from './options.ts';
import { note, print } from './terminal.ts';
import { TOOL_COMMANDS } from './toolCommands.mjs';

export type CommandTable = Readonly<
  Record<string, { readonly summary: string; readonly load: () => Promise<SpecifiedCommand> }>
>;

/** Loaded when called, so that one command does not pay for another's imports. */
export const commands: CommandTable = {
  finetune: {
    summary: 'train an adapter on a model and data, merge it, write adapter, merged model and figures',
    load: () => import('./finetune.ts').then((m) => m.finetuneCommand),
  },
  merge: {
    summary: 'merge adapters (folders or zips), one after the other, into an ONNX model',
    load: () => import('./merge.ts').then((m) => m.mergeCommand),
  },
  combine: {
    summary:
      'combine adapters of one method into a new one: linear, cat, ties, dare_linear, dare_ties, magnitude_prune',
    load: () => import('./combine.ts').then((m) => m.combineCommand),
  },
  adapters: {
    summary: 'what an adapter folder or zip holds: method, targets, parameters, warnings',
    load: () => import('./adapterFiles.ts').then((m) => m.adaptersCommand),
  },
  compare: {
    summary: 'methods on one task at equal trainable parameters, side by side',
    load: () => import('./compare.ts').then((m) => m.compareCommand),
  },
  python: {
    summary: 'write the Python project that goes on with a run of finetune',
    load: () => import('./python.ts').then((m) => m.pythonCommand),
  },
  generate: {
    summary: 'write text with a language model, through the trainer itself',
    load: () => import('./generate.ts').then((m) => m.generateCommand),
  },
  embed: {
    summary: 'texts as vectors by an encoder, and how near they are to each other',
    load: () => import('./embed.ts').then((m) => m.embedCommand),
  },
};

function usage(): string {
  const summaries = Object.entries(commands).map(([name, { summary }]) => [name, summary] as const);
  const lines = [...summaries, ...Object.entries(TOOL_COMMANDS)].map(
    ([name, summary]) => `  ${name.padEnd(10)} ${summary}`,
  );
  return `papilio COMMAND [options] [--runtime auto|node|deno]\n\n${lines.join('\n')}\n\npapilio COMMAND --help lists its options.\n`;
}

const HELP = ['help', '--help', '-h'];

/**
 * @param table the commands that can be run; those of the command line unless said
 * @returns the exit code
 */
export async function runCommand(args: readonly string[], table: CommandTable = commands): Promise<number> {
  // `papilio help merge` is `papilio merge --help`.
  const [name, ...rest] = HELP.includes(args[0] ?? '') && args[1] !== undefined ? [args[1], '--help'] : args;
  if (name === undefined || HELP.includes(name)) {
    print(usage());
    return 0;
  }
  const command = Object.hasOwn(table, name) ? table[name] : undefined;
  if (!command && Object.hasOwn(TOOL_COMMANDS, name)) {
    note(`The command ${name} is one of a clone's tools: npm run -s papilio -- ${name} there.\n`);
    return 2;
  }
  if (!command) {
    const [near] = closest(name, [...Object.keys(table), ...Object.keys(TOOL_COMMANDS)], 1);
    const guess = near === undefined ? '' : ` Did you mean ${near}?`;
    note(`There is no command "${name}".${guess} papilio --help lists them.\n`);
    return 2;
  }
  try {
    return await (await command.load())(rest);
  } catch (error) {
    if (error instanceof PapilioError && error.kind !== 'internal') {
      note(`${error.message}\n`);
      return 2;
    }
    note(`${error instanceof Error ? (error.stack ?? error.message) : String(error)}\n`);
    return 1;
  }
}
