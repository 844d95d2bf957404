/** Markdown as a reader has it: blocks, code, links, headings, and what of it is typed. */
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';

export const textOf = (path: string): string => readFileSync(path, 'utf8');

/** What of a Markdown file is neither code nor empty, block by block; a row of a table and a point of a list are blocks too. */
export function blocksOf(text: string): string[] {
  const blocks: string[] = [];
  let isCode = false;
  let goesOn = false;
  for (const line of text.split('\n')) {
    if (line.startsWith('```')) isCode = !isCode;
    if (isCode || line.startsWith('```') || line.trim() === '') {
      goesOn = false;
      continue;
    }
    const begins = !goesOn || /^(#|\||- |\d+\. )/.test(line);
    if (begins) blocks.push(line.trim());
    else blocks.push(`${blocks.pop()} ${line.trim()}`);
    goesOn = true;
  }
  return blocks;
}

export const codeOf = (text: string): string[] => text.match(/^```[\s\S]*?^```$/gm) ?? [];
export const withoutCode = (text: string): string =>
  text.replace(/^```[\s\S]*?^```$/gm, '').replace(/`[^`\n]*`/g, '');
export const linksOf = (text: string): string[] =>
  [...withoutCode(text).matchAll(/\]\(([^)\s]+)\)/g)].map(([, target]) => target!);
export const headingsOf = (text: string): string[] => blocksOf(text).filter((block) => /^#+ /.test(block));

/** What a heading is called in an address, as GitHub does it. */
export const anchorOf = (heading: string): string =>
  heading
    .replace(/^#+ /, '')
    .toLowerCase()
    .replace(/[^\p{L}\p{N} _-]/gu, '')
    .replaceAll(' ', '-');

const DOCS = readdirSync('docs')
  .filter((name) => name.endsWith('.md'))
  .map((name) => join('docs', name));
export const READMES = ['README.md', 'README.zh-Hans.md'] as const;
export const TEXTS = [...READMES, 'CONTRIBUTING.md', 'CHANGELOG.md', ...DOCS];

/** The command lines of code blocks, a line that goes on with a backslash as one. */
export const typedIn = (text: string): string[] =>
  codeOf(text)
    .filter((block) => block.startsWith('```\n'))
    .flatMap((block) => block.replaceAll('\\\n', ' ').split('\n').slice(1, -1))
    .map((line) => line.trim());

/** Words of a line as a shell makes them; none of them is computed. */
export const wordsOf = (line: string): string[] =>
  (line.match(/'[^']*'|"[^"]*"|\S+/g) ?? []).map((word) => word.replace(/^(['"])([\s\S]*)\1$/, '$2'));
