/**
 * Brings every language up to date with the sources: sorted, without what is no longer said, and what is new with an empty translation, which a test
 * finds. `npm run words -- FILE.json` takes translations from a file first, from English sentences to those of the only other language or of the one
 * named before it.
 */
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { allLanguages, allPhrases, LANGUAGES } from './words.mjs';

const said = [...new Set(allPhrases().map(({ phrase }) => phrase))].sort();
const given = process.argv.slice(2);
const languages = allLanguages();
const names = languages.map(([name]) => name.replace(/\.json$/, ''));
const named = given.length > 1 ? given[0] : names.length === 1 ? names[0] : undefined;
if (given.length > 0 && !names.includes(named)) {
  console.error(
    `Name the language before the file, one of ${names.join(', ')}: npm run words -- ${names[0]} ${given.at(-1)}`,
  );
  process.exit(1);
}
const target = `${named}.json`;
const news = given.length === 0 ? {} : JSON.parse(readFileSync(given.at(-1), 'utf8'));
const strange = Object.keys(news).filter((phrase) => !said.includes(phrase));
if (given.length > 0) console.log(`${given.at(-1)}: ${Object.keys(news).length} sentences for ${named}.`);
for (const phrase of strange) console.error(`Said nowhere: ${JSON.stringify(phrase)}`);

for (const [name, phrases] of languages) {
  const all = name === target ? { ...phrases, ...news } : phrases;
  const next = Object.fromEntries(said.map((phrase) => [phrase, all[phrase] ?? '']));
  writeFileSync(join(LANGUAGES, name), `${JSON.stringify(next, null, 2)}\n`);
  const missing = said.filter((phrase) => next[phrase] === '');
  console.log(`${name}: ${said.length} sentences, ${missing.length} not translated.`);
  for (const phrase of missing) console.log(JSON.stringify(phrase));
}
