/**
 * What others made of what the page is built from, with their licences: every package that a module of the page or of its workers imports, and what
 * those packages depend on by package-lock.json (some of it is dropped by the build), the fonts of formulas, and what this project made itself.
 */
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { dirname, join, normalize } from 'node:path';
import { parseSync } from 'vite';

/** Where the page, its workers and its service worker begin. */
const ENTRIES = ['src/main.tsx', 'src/page/features/offline/serviceWorker.ts'];

const packageOf = (specifier) =>
  specifier
    .split('/')
    .slice(0, specifier.startsWith('@') ? 2 : 1)
    .join('/');

/** What a module loads when it runs, at once or later, or names as a file of its own: types vanish in the build. */
function loadedBy(path, text) {
  const { module } = parseSync(path, text);
  const found = [];
  for (const { moduleRequest, entries } of module.staticImports)
    if (entries.length === 0 || entries.some(({ isType }) => !isType)) found.push(moduleRequest.value);
  for (const { entries } of module.staticExports)
    for (const { moduleRequest, isType } of entries)
      if (moduleRequest && !isType) found.push(moduleRequest.value);
  for (const { moduleRequest } of module.dynamicImports) {
    const literal = /^['"]([^'"]+)['"]$/.exec(text.slice(moduleRequest.start, moduleRequest.end));
    if (literal) found.push(literal[1]);
  }
  for (const [, specifier] of text.matchAll(/new URL\(\s*['"](\.[^'"]+\.[mc]?[jt]sx?)['"]/g))
    found.push(specifier);
  return found.map((specifier) => specifier.split('?')[0]);
}

/** Packages that modules of the page import themselves, by name. */
export function importedPackages(root = '.') {
  const packages = new Set();
  const seen = new Set();
  const visit = (path) => {
    if (seen.has(path)) return;
    seen.add(path);
    for (const specifier of loadedBy(path, readFileSync(join(root, path), 'utf8'))) {
      if (specifier.startsWith('node:') || specifier.startsWith('#')) continue;
      const own = specifier.startsWith('.') ? normalize(join(dirname(path), specifier)) : null;
      if (own === null) packages.add(packageOf(specifier));
      else if (/\.[mc]?[jt]sx?$/.test(own)) visit(own.replaceAll('\\', '/'));
    }
  };
  for (const entry of ENTRIES) visit(entry);
  // What JSX compiles to imports React's.
  packages.add('react');
  return [...packages].sort();
}

/** Where the lock has a package that another one needs: the nearest node_modules above it. */
function placeOf(lock, name, from) {
  for (let at = from; ; ) {
    const place = `${at === '' ? '' : `${at}/`}node_modules/${name}`;
    if (lock[place]) return place;
    const up = at.lastIndexOf('/node_modules/');
    if (at === '') return null;
    at = up < 0 ? '' : at.slice(0, up);
  }
}

/** All packages of the page by their places in package-lock.json. */
export function packagesOfPage(root = '.') {
  const lock = JSON.parse(readFileSync(join(root, 'package-lock.json'), 'utf8')).packages;
  const places = new Set();
  const add = (name, from) => {
    const place = placeOf(lock, name, from);
    if (place === null || places.has(place)) return;
    places.add(place);
    for (const needed of Object.keys(lock[place].dependencies ?? {})) add(needed, place);
  };
  for (const name of importedPackages(root)) add(name, '');
  return [...places]
    .filter((place) => !/(^|\/)node_modules\/@types\//.test(place))
    .map((place) => ({
      place,
      name: place.slice(place.lastIndexOf('node_modules/') + 'node_modules/'.length),
      version: lock[place].version,
      licence: lock[place].license ?? 'not named',
    }))
    .sort((a, b) => (a.name < b.name ? -1 : a.name > b.name ? 1 : a.version < b.version ? -1 : 1));
}

const isLicence = (name) =>
  /^(licen[cs]e|copying|notice)(\W.*)?$/i.test(name) && !/\.(js|ts|json)$/.test(name);

/** The licence files in a package's folder as one text; '' where it has none. */
function textOf(folder) {
  if (!existsSync(folder)) throw new Error(`${folder} is not there: run npm ci first.`);
  return readdirSync(folder)
    .filter(isLicence)
    .sort()
    .map((name) => readFileSync(join(folder, name), 'utf8').replace(/\r\n?/g, '\n').trim())
    .join('\n\n');
}

function authorOf(folder) {
  const { author, contributors } = JSON.parse(readFileSync(join(folder, 'package.json'), 'utf8'));
  const first = author ?? contributors?.[0];
  return typeof first === 'object' ? first.name : first;
}

const MIT = `Permission is hereby granted, free of charge, to any person obtaining a copy of this software and associated documentation files (the "Software"), to deal in the Software without restriction, including without limitation the rights to use, copy, modify, merge, publish, distribute, sublicense, and/or sell copies of the Software, and to permit persons to whom the Software is furnished to do so, subject to the following conditions:

The above copyright notice and this permission notice shall be included in all copies or substantial portions of the Software.

THE SOFTWARE IS PROVIDED "AS IS", WITHOUT WARRANTY OF ANY KIND, EXPRESS OR IMPLIED, INCLUDING BUT NOT LIMITED TO THE WARRANTIES OF MERCHANTABILITY, FITNESS FOR A PARTICULAR PURPOSE AND NONINFRINGEMENT. IN NO EVENT SHALL THE AUTHORS OR COPYRIGHT HOLDERS BE LIABLE FOR ANY CLAIM, DAMAGES OR OTHER LIABILITY, WHETHER IN AN ACTION OF CONTRACT, TORT OR OTHERWISE, ARISING FROM, OUT OF OR IN CONNECTION WITH THE SOFTWARE OR THE USE OR OTHER DEALINGS IN THE SOFTWARE.`;

const OWN = `Papilio itself comes under the MIT licence. So does what this project made and the page carries: the models glyphs-vit and tales-gpt, which were trained from nothing on data that programs here draw and write; that data (digits, letters, wild digits, signs, tales, recipes); the recorded first run; the icons. No model, data set or picture of others is in it.

The page sets text in the fonts of the machine. The only fonts that come with it are those of formulas, from the package katex.`;

const FONTS = `Fonts of formulas (KaTeX_*, in the package katex)
Copyright (c) 2009-2010, Design Science, Inc. (www.mathjax.org)
Copyright (c) 2014-2018 Khan Academy (www.khanacademy.org), with Reserved Font Names KaTeX_*
Licence: SIL Open Font License 1.1`;

const RULE = '-'.repeat(80);

/** The whole list as a text. Equal texts stand once, below the names of all that come under them. */
export function licenceList(root = '.') {
  const packages = packagesOfPage(root);
  const groups = new Map();
  for (const one of packages) {
    const folder = join(root, one.place);
    const text = textOf(folder);
    const author = authorOf(folder);
    const own =
      text ||
      `The package has no licence file; its author is ${author ?? 'not named'}. It names ${one.licence}.${one.licence === 'MIT' ? `\n\n${MIT}` : ''}`;
    groups.set(own, [...(groups.get(own) ?? []), one]);
  }
  const lines = packages.map(({ name, version, licence }) => `${name} ${version}: ${licence}`);
  const texts = [...groups].map(
    ([text, those]) =>
      `${RULE}\n${those.map(({ name, version }) => `${name} ${version}`).join('\n')}\n\n${text}`,
  );
  const ofl = readFileSync(join(root, 'tools/licences/OFL-1.1.txt'), 'utf8').trim();
  return [
    `Licences of what the page of Papilio is made of. Written by \`npm run licences\`.`,
    OWN,
    `Packages that the page and its workers are built from, with what those depend on:\n\n${lines.join('\n')}`,
    ...texts,
    `${RULE}\n${FONTS}\n\n${ofl}`,
    '',
  ].join('\n\n');
}
