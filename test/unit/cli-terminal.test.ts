// What files and models say is shown on the terminal, not obeyed.
import { readdirSync, readFileSync } from 'node:fs';
import { afterEach, describe, expect, it, vi } from 'vitest';
import { runCommand } from '../../src/cli/commands.ts';
import { note, print, progressBar } from '../../src/cli/terminal.ts';
import { visible } from '../../src/lib/names.ts';

afterEach(() => {
  vi.restoreAllMocks();
});

function written(run: () => void): string {
  const texts: string[] = [];
  for (const stream of [process.stdout, process.stderr])
    vi.spyOn(stream, 'write').mockImplementation((text) => texts.push(String(text)) > 0);
  run();
  vi.restoreAllMocks();
  return texts.join('');
}

const STEERING: readonly (readonly [string, string])[] = [
  ['clears the screen', '\u001b[3J\u001b[1;1H'],
  ['renames the window', '\u001b]2;other\u0007'],
  ['begins a sequence with one letter', '\u009b31m\u009d0;x\u009c'],
  ['writes over the line', 'safe\rother'],
  ['takes letters back', 'ok\b\b\u007f'],
  ['rings', '\u0007'],
  ['turns the direction', 'gnp.\u202etxt'],
  ['isolates and embeds', '\u2066a\u2069\u202b\u061c\u200f'],
  ['breaks lines unseen', 'a\u2028b\u2029c\u0085d\u000b\u000c'],
  ['makes links', '\u001b]8;;http://other\u001b\\here\u001b]8;;\u001b\\'],
  ['asks the terminal', '\u001b[6n\u001bP$q"p\u001b\\\u0005'],
];
// biome-ignore lint/suspicious/noControlCharactersInRegex: they are what must not be there.
const OBEYED = /[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069]/;

describe('the terminal', () => {
  it.each(STEERING)('shows what %s', (_, text) => {
    const out = written(() => {
      print(`label ${text} end\n`);
      note(`warning ${text} end\n`);
      const bar = progressBar('train', { isTerminal: false });
      bar.log(text);
    });
    expect(out).not.toMatch(OBEYED);
    expect(out).toContain('\\u');
    expect(JSON.parse(visible(JSON.stringify(text)))).toBe(text);
  });

  it('leaves a bar its own way back to the start of the line', () => {
    const out = written(() => {
      const bar = progressBar('fetch \u001b[31m', { isTerminal: true });
      bar.update(1, 2, 'file\r\u202e');
      bar.log('\u001b[2J');
      bar.end();
    });
    expect(out.replaceAll('\r\u001b[K', '')).not.toMatch(OBEYED);
    expect(out).toContain('\r\u001b[K');
  });

  it('shows a strange command as it is', async () => {
    let code = 0;
    const texts: string[] = [];
    vi.spyOn(process.stderr, 'write').mockImplementation((text) => texts.push(String(text)) > 0);
    code = await runCommand(['x\u001b[31m\u202e']);
    expect(code).toBe(2);
    expect(texts.join('')).not.toMatch(OBEYED);
  });

  it('leaves other texts alone', () => {
    const text = 'é漢字 😀 שלום\tمرحبا\n👩‍👩‍👧 ½ → "x"\n';
    expect(visible(text)).toBe(text);
  });

  it('is written to in one place only', () => {
    const below = (folder: string) =>
      readdirSync(folder, { recursive: true, encoding: 'utf8' }).map((name) => `${folder}/${name}`);
    const files = [
      ...['src/cli', 'src/onnxruntime', 'tools/bench', 'tools/pretrain', 'tools/verify'].flatMap(below),
      ...['tools/commands.ts', 'tools/papilio.ts', 'tools/reproduce.ts'],
    ].filter((path) => path.endsWith('.ts') && path !== 'src/cli/terminal.ts');
    expect(files.length).toBeGreaterThan(50);
    const others = files.filter((path) =>
      /process\.std(out|err)\b|console\.(log|error|warn|info)/.test(readFileSync(path, 'utf8')),
    );
    expect(others).toEqual([]);
  });
});

it('says names of any length in a line that can be read', () => {
  const name = 'ab'.repeat(400_000);
  const said = written(() => note(`2 classes: good, ${name}.\nThe other line stays.\n`));
  expect(said.length).toBeLessThan(5000);
  expect(said).toMatch(/^2 classes: good, abab.* … .*ab\.\nThe other line stays\.\n$/);
  // A result is not a sentence.
  expect(written(() => print(name))).toBe(name);
});
