/**
 * The table of a command's options: what parses the arguments is what `--help` prints. A value that is no number, none of the choices, or an
 * option that there is not ends in one sentence.
 */
import { parseArgs } from 'node:util';
import { closest, fail } from '../common.ts';
import { print } from './terminal.ts';

/** A command takes its arguments and resolves with the exit code. */
export type Command = (args: readonly string[]) => Promise<number>;

export interface Option {
  readonly type: 'string' | 'number' | 'boolean';
  /** One clause for `--help`. */
  readonly about: string;
  /** The values there are. */
  readonly choices?: readonly string[];
  readonly default?: string | number;
  /** What is used where nothing is given and the table cannot hold it: "the method's own". */
  readonly otherwise?: string;
  readonly required?: true;
  /** May be given several times. */
  readonly multiple?: true;
  /** May stand alone, which means this value. */
  readonly alone?: string;
  /** What stands for the value in `--help`, such as FILE. */
  readonly value?: string;
  /** Heading in `--help`. */
  readonly group?: string;
}

export type OptionTable = Readonly<Record<string, Option>>;

/** Of every command that writes results. */
export const overwriteOption = {
  type: 'boolean',
  about: 'writes over an older result that lies there',
} as const satisfies Option;

type One<O extends Option> = O['type'] extends 'boolean'
  ? boolean
  : O['type'] extends 'number'
    ? number
    : O['choices'] extends readonly (infer Choice)[]
      ? Choice
      : string;

/** Options that always have a value. */
type Filled =
  | { readonly type: 'boolean' }
  | { readonly required: true }
  | { readonly default: string | number };

type Value<O extends Option> = O['multiple'] extends true
  ? readonly One<O>[]
  : O extends Filled
    ? One<O>
    : One<O> | undefined;

/** What a table makes of the arguments: flags that were not given are false, options that may be repeated are lists. */
export type Values<T extends OptionTable> = { readonly [Name in keyof T]: Value<T[Name]> };

export interface CommandSpec<T extends OptionTable> {
  readonly name: string;
  /** One sentence. */
  readonly about: string;
  /** What stands without a name, in the usage line: `peft|onnx|memory DIR`. Without it nothing may. */
  readonly positionals?: string;
  readonly options: T;
  /** Lines below the options, as they are. */
  readonly notes?: readonly string[];
}

export type SpecifiedCommand = Command & { readonly spec: CommandSpec<OptionTable> };

/** The command that a table and a body make; `--help` is one of its options. */
export function command<const T extends OptionTable>(
  spec: CommandSpec<T>,
  body: (values: Values<T>, positionals: readonly string[], args: readonly string[]) => Promise<number>,
): SpecifiedCommand {
  const run: Command = async (args) => {
    if (wantsHelp(args)) {
      print(helpOf(spec));
      return 0;
    }
    const { values, positionals } = parseOptions(spec, args);
    return body(values, positionals, args);
  };
  return Object.assign(run, { spec });
}

/** Before `--`, after which nothing is an option. */
function wantsHelp(args: readonly string[]): boolean {
  const end = args.indexOf('--');
  return (end < 0 ? args : args.slice(0, end)).some((word) => word === '--help' || word === '-h');
}

/** @throws PapilioError 'bad-argument' naming the option and what it takes */
export function parseOptions<const T extends OptionTable>(
  spec: CommandSpec<T>,
  args: readonly string[],
): { readonly values: Values<T>; readonly positionals: readonly string[] } {
  const { name: command, options } = spec;
  const { tokens } = parseArgs({
    args: joined(options, args),
    options: Object.fromEntries(
      Object.entries(options).map(([name, { type }]) => [
        name,
        { type: type === 'boolean' ? ('boolean' as const) : ('string' as const) },
      ]),
    ),
    strict: false,
    tokens: true,
  });
  const given = new Map<string, (string | number | boolean)[]>();
  const positionals: string[] = [];
  for (const token of tokens) {
    if (token.kind === 'positional') positionals.push(token.value);
    if (token.kind !== 'option') continue;
    const option = Object.hasOwn(options, token.name) ? options[token.name]! : null;
    if (!option) fail('bad-argument', unknownOption(spec, token.rawName));
    const value = checked(token.name, option, token.value);
    given.set(token.name, [...((option.multiple && given.get(token.name)) || []), value]);
  }
  if (positionals.length > 0 && spec.positionals === undefined)
    fail(
      'bad-argument',
      `${command} takes no "${positionals[0]}" without an option's name; ${seeHelp(command)}.`,
    );
  const values: Record<string, unknown> = {};
  for (const [name, option] of Object.entries(options)) {
    const all = given.get(name);
    if (option.required && !all)
      fail('bad-argument', `${command} needs ${needed(options)}; ${seeHelp(command)}.`);
    values[name] = option.multiple
      ? (all ?? [])
      : (all?.[0] ?? option.default ?? (option.type === 'boolean' ? false : undefined));
  }
  return { values: values as Values<T>, positionals };
}

/** `--lr -1` as `--lr=-1`: a value may begin with a dash where an option takes one. */
function joined(options: OptionTable, args: readonly string[]): string[] {
  const out: string[] = [];
  for (let i = 0; i < args.length; i++) {
    const word = args[i]!;
    const option =
      word.startsWith('--') && Object.hasOwn(options, word.slice(2)) ? options[word.slice(2)]! : null;
    const next = args[i + 1];
    if (word === '--') return [...out, ...args.slice(i)];
    if (option && option.type !== 'boolean' && next !== undefined && !next.startsWith('--'))
      out.push(`${word}=${args[++i]!}`);
    else out.push(option?.alone === undefined ? word : `${word}=${option.alone}`);
  }
  return out;
}

function checked(name: string, option: Option, text: string | undefined): string | number | boolean {
  if (option.type === 'boolean')
    return text === undefined || fail('bad-argument', `--${name} takes no value; leave "${text}" out.`);
  // Empty is what a shell makes of a variable that is not set: it names nothing, unless the table says that it may.
  const mayBeEmpty = option.alone === '' || option.default === '';
  if (text === undefined || (text.trim() === '' && !mayBeEmpty))
    return fail('bad-argument', `--${name} needs a value: ${option.about}.`);
  if (option.choices && !option.choices.includes(text))
    return fail('bad-argument', `--${name} must be ${listed(option.choices, 'or')}, not "${text}".`);
  if (option.type === 'string') return text;
  const number = Number(text);
  return Number.isFinite(number) ? number : fail('bad-argument', `--${name} takes a number, not "${text}".`);
}

const seeHelp = (command: string): string => `papilio ${command} --help lists its options`;

function unknownOption({ name, options }: CommandSpec<OptionTable>, given: string): string {
  const [near] = closest(given.replace(/^-+/, ''), [...Object.keys(options), 'help'], 1);
  return near === undefined
    ? `${name} has no option ${given}; ${seeHelp(name)}.`
    : `${name} has no option ${given}; did you mean --${near}? All are listed by papilio ${name} --help.`;
}

const needed = (options: OptionTable): string =>
  listed(
    Object.entries(options)
      .filter(([, option]) => option.required)
      .map(([name, option]) => `--${name} ${placeholder(option)}`),
    'and',
  );

/** `a, b or c`. */
const listed = (words: readonly string[], last: 'and' | 'or'): string =>
  words.length < 2 ? (words[0] ?? '') : `${words.slice(0, -1).join(', ')} ${last} ${words.at(-1)}`;

function placeholder({ type, choices, value, alone }: Option): string {
  const word = value ?? (type === 'number' ? 'N' : choices ? 'NAME' : 'TEXT');
  return alone === undefined ? word : `[${word}]`;
}

const WIDTH = 100;

/** What `--help` prints: usage, the options under their headings with type and default, notes. */
export function helpOf({ name, about, positionals, options, notes = [] }: CommandSpec<OptionTable>): string {
  const all = Object.entries(options);
  const required = all.filter(([, o]) => o.required).map(([n, o]) => ` --${n} ${placeholder(o)}`);
  const rest = all.length > required.length ? ' [options]' : '';
  const lines = [
    `papilio ${name}${positionals ? ` ${positionals}` : ''}${required.join('')}${rest}`,
    '',
    ...wrapped(about, 0),
  ];
  const left = ([n, o]: [string, Option]) => `--${n}${o.type === 'boolean' ? '' : ` ${placeholder(o)}`}`;
  const column = Math.max(...all.map((one) => left(one).length), '--runtime NAME'.length) + 4;
  for (const group of new Set(all.map(([, o]) => o.group ?? 'Options'))) {
    lines.push('', group);
    for (const one of all.filter(([, o]) => (o.group ?? 'Options') === group))
      lines.push(...row(left(one), column, described(one[1])));
  }
  lines.push(
    '',
    ...row('--runtime NAME', column, 'what it runs in (auto, node or deno; default: auto)'),
    ...row('--help', column, 'prints this'),
  );
  if (notes.length > 0) lines.push('', ...notes);
  return `${lines.join('\n')}\n`;
}

function described({ about, choices, default: value, otherwise, required, multiple }: Option): string {
  const facts = [
    ...(choices ? [listed(choices, 'or')] : []),
    ...(value !== undefined
      ? [`default: ${value}`]
      : otherwise !== undefined
        ? [`default: ${otherwise}`]
        : []),
    ...(required ? ['needed'] : []),
    ...(multiple ? ['may be repeated'] : []),
  ];
  return facts.length > 0 ? `${about} (${facts.join('; ')})` : about;
}

function row(left: string, column: number, text: string): string[] {
  const [first = '', ...more] = wrapped(text, column);
  return [`  ${left}`.padEnd(column) + first.trimStart(), ...more];
}

/** Lines of at most {@link WIDTH} signs, indented. */
function wrapped(text: string, indent: number): string[] {
  const lines: string[] = [];
  let line = '';
  for (const word of text.split(' ')) {
    if (line !== '' && indent + line.length + 1 + word.length > WIDTH) {
      lines.push(' '.repeat(indent) + line);
      line = word;
    } else line = line === '' ? word : `${line} ${word}`;
  }
  return [...lines, ' '.repeat(indent) + line];
}
