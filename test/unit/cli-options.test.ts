/**
 * One table of options for each command: it parses, and `--help` prints it. Seen to fail with: an option left out of the help, a number
 * that is taken as text, an unknown option without the nearest name, an option that was renamed while a sentence about it was not, a command
 * in a text without an option that it needs.
 */
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import process from 'node:process';
import { afterEach, describe, expect, it, vi } from 'vitest';
import { commands as products, runCommand } from '../../src/cli/commands.ts';
import { command, helpOf, parseOptions } from '../../src/cli/options.ts';
import { tools } from '../../tools/commands.ts';
import { TEXTS, textOf, typedIn, wordsOf } from '../tools/markdown.ts';

const commands = { ...products, ...tools };

/** Options of other programs that texts name: of npm, Node, Deno and exporters; of the Python project; of the programs in tools/. */
const OTHERS = [
  ...['no-save', 'omit', 'max-old-space-size', 'node-modules-dir', 'no-lock', 'unstable-webgpu', 'name'],
  ...[
    'inputs-as-nchw',
    'base',
    'mixed',
    'same',
    'replay',
    'help',
    'runtime',
    'build',
    'mode',
    'learning-rate',
  ],
];

const FOLDERS = ['src', 'tools', 'docs'];

const files = FOLDERS.flatMap((folder) =>
  readdirSync(folder, { recursive: true, encoding: 'utf8' })
    .filter((file) => /\.(ts|tsx|mjs|md)$/.test(file) && !/\.d\.m?ts$/.test(file))
    .map((file) => join(folder, file)),
).concat('README.md', 'README.zh-Hans.md', 'CONTRIBUTING.md', 'CHANGELOG.md');

/** CSS has names of the same look, in `var(--ink)`, in `'--ink':` and where styles are read by name. */
const named = (text: string): string[] =>
  [...text.matchAll(/(?<![\w(\-'"`]| {2}|\|\| )--([a-z][A-Za-z-]*[A-Za-z])(?![\w-]*['"]?\s*:)/g)].map(
    ([, name]) => name!,
  );

afterEach(() => vi.restoreAllMocks());

/** What a command prints, and its exit code. */
async function ran(...args: string[]): Promise<{ code: number; out: string; err: string }> {
  let [out, err] = ['', ''];
  vi.spyOn(process.stdout, 'write').mockImplementation((text) => {
    out += String(text);
    return true;
  });
  vi.spyOn(process.stderr, 'write').mockImplementation((text) => {
    err += String(text);
    return true;
  });
  const code = await runCommand(args, commands);
  vi.restoreAllMocks();
  return { code, out, err };
}

describe('every command', () => {
  it.each(Object.entries(commands))('%s lists its options with --help', async (name, { load }) => {
    const { spec } = await load();
    expect(spec.name).toBe(name);
    for (const args of [
      [name, '--help'],
      ['help', name],
      [name, 'x', '-h'],
    ]) {
      const { code, out } = await ran(...args);
      expect(code).toBe(0);
      expect(out).toContain(`papilio ${name}`);
      for (const [option, { about, default: value }] of Object.entries(spec.options)) {
        expect(out).toMatch(new RegExp(`^ {2}--${option}\\b`, 'm'));
        expect(about).toMatch(/^[^.]+/);
        if (value !== undefined) expect(out.replace(/\s+/g, ' ')).toContain(`default: ${value}`);
      }
      expect(Math.max(...out.split('\n').map((line) => line.length))).toBeLessThanOrEqual(104);
    }
  });

  it.each(Object.keys(commands))('%s names the nearest option to one that it does not have', async (name) => {
    const { code, out, err } = await ran(name, '--hekp');
    expect(code).toBe(2);
    expect(out).toBe('');
    expect(err).toMatch(/^\w+ has no option --hekp; did you mean --help\? .*\.\n$/);
  });
});

it('lists the commands, and names the nearest one to a mistyped one', async () => {
  const { code, out } = await ran('--help');
  expect(code).toBe(0);
  for (const name of Object.keys(commands)) expect(out).toMatch(new RegExp(`^ {2}${name} `, 'm'));
  const wrong = await ran('fintune', '--model', 'x');
  expect(wrong.code).toBe(2);
  expect(wrong.err).toBe(
    'There is no command "fintune". Did you mean finetune? papilio --help lists them.\n',
  );
});

it('says of a command of a clone where it is', async () => {
  vi.spyOn(process.stderr, 'write').mockReturnValue(true);
  for (const name of Object.keys(tools)) expect(await runCommand([name])).toBe(2);
  expect(process.stderr.write).toHaveBeenCalledTimes(Object.keys(tools).length);
  expect(process.stderr.write).toHaveBeenLastCalledWith(
    "The command check is one of a clone's tools: npm run -s papilio -- check there.\n",
  );
});

it('says which option is not the right one', async () => {
  const start = ['finetune', '--model', 'a', '--data', 'b', '--out', 'c'];
  for (const [args, says] of [
    [['--lern', '3'], /no option --lern/],
    [['--warmpu', '3'], /no option --warmpu; did you mean --warmup\?/],
    [['--steps', 'many'], /--steps takes a number, not "many"/],
    [['--steps'], /--steps needs a value/],
    [['--out', ''], /--out needs a value/],
    [['--out', '  '], /--out needs a value/],
    [['--padding', 'short'], /--padding must be length or longest, not "short"/],
    [['--json=yes'], /--json takes no value; leave "yes" out/],
    [['more'], /takes no "more" without an option's name/],
  ] as const) {
    const { code, err } = await ran(...start, ...args);
    expect(code).toBe(2);
    expect(err).toMatch(says);
    expect(err.trimEnd().split('\n')).toHaveLength(1);
  }
  expect((await ran('finetune', '--out', 'c')).err).toMatch(
    /^finetune needs --model MODEL, --data DATA and --out DIR;/,
  );
});

describe('a table', () => {
  const spec = {
    name: 'fold',
    about: 'Folds.',
    options: {
      paper: { type: 'string', required: true, about: 'what is folded' },
      times: { type: 'number', default: 3, about: 'how often' },
      edge: { type: 'string', choices: ['sharp', 'soft'], about: 'the edge', otherwise: 'as it comes' },
      note: { type: 'string', multiple: true, about: 'a note' },
      wet: { type: 'boolean', about: 'with water' },
    },
  } as const;

  it('gives values of the right kind', () => {
    const { values } = parseOptions(spec, [
      '--paper',
      '-blue-',
      '--times',
      '-2',
      '--note',
      'a',
      '--note=b',
      '--wet',
    ]);
    expect(values).toEqual({ paper: '-blue-', times: -2, edge: undefined, note: ['a', 'b'], wet: true });
    expect(parseOptions(spec, ['--paper', 'x', '--paper', 'y']).values).toEqual({
      paper: 'y',
      times: 3,
      edge: undefined,
      note: [],
      wet: false,
    });
  });

  it('prints kinds, choices and defaults', () => {
    expect(helpOf(spec)).toBe(`papilio fold --paper TEXT [options]

Folds.

Options
  --paper TEXT    what is folded (needed)
  --times N       how often (default: 3)
  --edge NAME     the edge (sharp or soft; default: as it comes)
  --note TEXT     a note (may be repeated)
  --wet           with water

  --runtime NAME  what it runs in (auto, node or deno; default: auto)
  --help          prints this
`);
  });

  it('runs the body with them', async () => {
    const body = vi.fn(async () => 7);
    expect(await command(spec, body)(['--paper', 'x'])).toBe(7);
    expect(body.mock.calls[0]).toMatchObject([{ paper: 'x', times: 3 }, [], ['--paper', 'x']]);
  });
});

it('every option that a text names is an option', async () => {
  const known = new Set(OTHERS);
  for (const { load } of Object.values({ ...commands, ...tools })) {
    const { spec } = await load();
    for (const name of Object.keys(spec.options)) known.add(name);
  }
  const unknown = files.flatMap((file) =>
    named(readFileSync(file, 'utf8'))
      .filter((name) => !known.has(name))
      .map((name) => `${file}: --${name}`),
  );
  expect(files.length).toBeGreaterThan(300);
  expect(unknown).toEqual([]);
});

it('every command that a text shows can be typed as it stands', async () => {
  const { scripts } = JSON.parse(textOf('package.json')) as { scripts: Record<string, string> };
  const lines = TEXTS.flatMap((file) => typedIn(textOf(file)).map((line) => ({ file, line })));
  const run = lines.filter(({ line }) => line.startsWith('npm run '));
  expect(run.length).toBeGreaterThan(15);
  for (const { file, line } of run) {
    const [script, ...rest] = wordsOf(line)
      .slice(2)
      .filter((word) => word !== '-s');
    expect(Object.keys(scripts), `${file}: ${line}`).toContain(script);
    const [dashes, name, ...args] = rest;
    if (script !== 'papilio' || name === 'COMMAND') continue;
    expect(dashes, `${file}: ${line}`).toBe('--');
    expect(Object.keys(commands), `${file}: ${line}`).toContain(name);
    const { spec } = await commands[name as keyof typeof commands]!.load();
    expect(() => parseOptions(spec, args), `${file}: ${line}`).not.toThrow();
  }
});
