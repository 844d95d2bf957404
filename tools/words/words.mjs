/**
 * Which sentences are said: read off the sources, where each is say`…` or rich`…`. Languages are compared with them by a test, and brought up to date by
 * `npm run words`.
 */
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { parseSync, Visitor } from 'vite';

export const LANGUAGES = 'src/languages';
const TAGS = ['say', 'rich'];
/** A sentence said here would be said once and for all in the language of that moment. */
const FUNCTIONS = [
  'FunctionDeclaration',
  'FunctionExpression',
  'ArrowFunctionExpression',
  'MethodDefinition',
];

const sourcesIn = (folder) =>
  readdirSync(folder, { recursive: true, encoding: 'utf8' })
    .map((path) => join(folder, path).replaceAll('\\', '/'))
    .filter((path) => /\.tsx?$/.test(path) && !path.endsWith('.d.ts'))
    .sort();

const lineOf = (text, at) => text.slice(0, at).split('\n').length;

/** What a file says. */
export function phrasesIn(path, text) {
  const { program, errors } = parseSync(path, text);
  if (errors.length > 0) throw new Error(`${path}: ${errors[0].message}`);
  const found = [];
  let depth = 0;
  const functions = Object.fromEntries(
    FUNCTIONS.flatMap((kind) => [
      [kind, () => void depth++],
      [`${kind}:exit`, () => void depth--],
    ]),
  );
  new Visitor({
    ...functions,
    TaggedTemplateExpression({ tag, quasi, start }) {
      if (tag.type !== 'Identifier' || !TAGS.includes(tag.name)) return;
      const phrase = quasi.quasis
        .map(({ value }) => value.cooked)
        .reduce((whole, part, i) => `${whole}{${i - 1}}${part}`);
      found.push({ phrase, at: `${path}:${lineOf(text, start)}`, isLate: depth > 0 });
    },
  }).visit(program);
  return found;
}

/** Props that hold no words although they may have spaces. */
const WORDLESS =
  /^(className|d|viewBox|transform|style|points|data-[\w-]+|id|rel|key|strokeDasharray|gridTemplate\w*|placement)$/;
/** Calls whose texts nobody reads on screen. */
const UNREAD = /^(querySelector(All)?|closest|matches|getPropertyValue|matchMedia|getContext|includes)$/;
/** What only a mistake of the program meets. */
const MISTAKES = /^((Syntax|Type|Range)?Error|RegExp|DOMException)$/;
/** An error of ours of this kind is one, too: PapilioError('internal', …), fail('internal', …). */
const isMistake = ({ callee, arguments: [kind] }) =>
  /^(PapilioError|fail)$/.test(callee.name ?? '') && kind?.value === 'internal';
/** What an error of ours says: any word of it counts. */
const saidBy = ({ callee, arguments: [, message] }) =>
  /^(PapilioError|fail)$/.test(callee.name ?? '') ? message : undefined;
/** Prose: two words beside each other, or one between tags. */
const isProse = (text) => /\p{L}{2,}[,;:.!?]? \p{L}+/u.test(text);
const hasWord = (text) => /\p{L}{2,}/u.test(text);

/**
 * Words that are written in a file without being said: they would be in English whatever the language. What stands between tags is any word, and so is
 * what an error of ours says; a text elsewhere counts from two words on.
 */
export function unsaidIn(path, text) {
  const { program } = parseSync(path, text);
  const found = [];
  const skipped = [];
  const skip = ({ start, end }) => void skipped.push([start, end]);
  const add = (words, { start, end }) =>
    void found.push({
      start,
      end,
      what: `${path}:${lineOf(text, start)}: ${words.trim().replace(/\s+/g, ' ')}`,
    });
  const addSaid = (call) => {
    const message = saidBy(call);
    if (message?.type === 'Literal' && hasWord(String(message.value))) add(String(message.value), message);
    if (message?.type === 'TemplateLiteral')
      for (const part of message.quasis) if (hasWord(part.value.cooked)) add(part.value.cooked, part);
  };
  new Visitor({
    ImportDeclaration: skip,
    JSXAttribute(node) {
      if (WORDLESS.test(node.name.name)) skip(node);
      else if (
        node.value?.type === 'Literal' &&
        /^(title|alt|placeholder|label|text|tip|aria-\w+)$/.test(node.name.name)
      )
        if (
          hasWord(String(node.value.value)) &&
          !/^(aria-(live|current|hidden|haspopup))$/.test(node.name.name)
        )
          add(String(node.value.value), node.value);
    },
    TSLiteralType: skip,
    BinaryExpression(node) {
      if (/^[!=]==$/.test(node.operator)) [node.left, node.right].forEach(skip);
    },
    CallExpression(node) {
      if (UNREAD.test(node.callee.property?.name ?? node.callee.name ?? '') || isMistake(node)) skip(node);
      else addSaid(node);
    },
    NewExpression(node) {
      if (MISTAKES.test(node.callee.name ?? '') || isMistake(node)) skip(node);
      else addSaid(node);
    },
    TaggedTemplateExpression({ tag, quasi }) {
      if (TAGS.includes(tag.name)) quasi.quasis.forEach(skip);
    },
    JSXText(node) {
      if (hasWord(node.value)) add(node.value, node);
    },
    Literal(node) {
      if (typeof node.value === 'string' && isProse(node.value)) add(node.value, node);
    },
    TemplateElement(node) {
      if (isProse(node.value.cooked)) add(node.value.cooked, node);
    },
  }).visit(program);
  const isSkipped = ({ start, end }) => skipped.some(([from, to]) => from <= start && end <= to);
  return [...new Map(found.filter((one) => !isSkipped(one)).map((one) => [one.start, one.what])).values()];
}

/** What may be the last of an expression: of a condition, either way. */
const lastsOf = (node) => {
  if (node.type === 'ConditionalExpression') return [node.consequent, node.alternate].flatMap(lastsOf);
  if (node.type === 'LogicalExpression') return [node.left, node.right].flatMap(lastsOf);
  return [node];
};
const isSentence = ({ type, tag, quasi }) =>
  type === 'TaggedTemplateExpression' &&
  TAGS.includes(tag.name) &&
  /[.!?]$/.test(quasi.quasis.at(-1).value.cooked);
const endsSentence = (node) => node !== undefined && lastsOf(node).some(isSentence);
const insideOf = (child) => (child?.type === 'JSXExpressionContainer' ? child.expression : child);
const isSpace = (child) =>
  child.type === 'JSXText'
    ? /^ +$/.test(child.value)
    : child.type === 'JSXExpressionContainer' && /^ +$/.test(String(child.expression.value));
const isShown = ({ type, value }) => type !== 'JSXText' || !/^\s*\n\s*$/.test(value);

/**
 * Sentences with a space written after them, which a language may not have there: they are parts of `<Sentences>` or `paragraph`.
 * What stands in a function or a variable is not followed.
 */
export function gluedIn(path, text) {
  const { program } = parseSync(path, text);
  const found = [];
  const add = ({ start }) => void found.push(`${path}:${lineOf(text, start)}`);
  const among = ({ children }) => {
    const shown = children.filter(isShown);
    shown.forEach((child, i) => {
      if (!isSpace(child)) return;
      // The first in a fragment comes after something that stands outside of it.
      const [before, after] = [insideOf(shown[i - 1]), insideOf(shown[i + 1])];
      if (i === 0 ? endsSentence(after) : endsSentence(before)) add(child);
    });
  };
  new Visitor({
    JSXElement: among,
    JSXFragment: among,
    TemplateLiteral({ expressions, quasis }) {
      expressions.forEach((one, i) => {
        if (endsSentence(one) && quasis[i + 1].value.cooked.startsWith(' ')) add(one);
      });
    },
    BinaryExpression({ operator, left, right }) {
      if (operator === '+' && endsSentence(left) && String(right.value).startsWith(' ')) add(left);
    },
    CallExpression({ callee, arguments: [between] }) {
      if (callee.property?.name !== 'join' || between?.value !== ' ') return;
      if (callee.object.type === 'ArrayExpression' && callee.object.elements.some(endsSentence)) add(callee);
    },
  }).visit(program);
  return found;
}

/** Every sentence of the project. */
export const allPhrases = () =>
  sourcesIn('src').flatMap((path) => phrasesIn(path, readFileSync(path, 'utf8')));

/** The languages that there are, by the name of their file. */
export const allLanguages = (folder = LANGUAGES) =>
  readdirSync(folder)
    .filter((name) => /^[a-z]{2,3}(-\w+)*\.json$/.test(name))
    .map((name) => [name, JSON.parse(readFileSync(join(folder, name), 'utf8'))]);

/** The values of a sentence, in an order of their own. */
const holesOf = (phrase) => (phrase.match(/\{\d+\}/g) ?? []).sort().join(' ');

/** The texts of a sentence of a language: one, or one for each of its forms. */
export const textsOf = (translation) =>
  typeof translation === 'string'
    ? [translation]
    : Object.entries(translation).flatMap(([name, text]) => (name === 'of' ? [] : [text]));

/** What is wrong with a sentence of a language: values that it lacks or has besides, or forms that are not those of the language; null where nothing is. */
export function problemOf(phrase, translation, locale) {
  const wanted = holesOf(phrase);
  if (typeof translation === 'object') {
    const { of, ...forms } = translation;
    const categories = new Intl.PluralRules(locale).resolvedOptions().pluralCategories;
    if (!wanted.split(' ').includes(`{${of}}`)) return `"of" names no value of it: ${of}`;
    const [has, needs] = [Object.keys(forms), categories].map((names) => [...names].sort().join(' '));
    if (has !== needs) return `its forms are ${has}, and the language has ${needs}`;
  }
  return textsOf(translation).every((text) => holesOf(text) === wanted) ? null : 'its values are others';
}
