/** Class names found in rows: as they stand, by the dataset's own list of names, or as numbers of the model's classes. */
import { fail } from '../lib/errors.ts';
import { say } from '../lib/say.ts';
import { type Drops, type Origin, originList, someOf } from './notes.ts';

export interface LabelOptions {
  /** The model's own classes. */
  readonly known?: readonly string[];
  /** Names of numbered classes, where the file keeps them. */
  readonly names?: readonly string[];
  /** Rows with classes that the model does not have are bad, instead of reason for a new classifier. */
  readonly keepClasses?: boolean;
}

const WHOLE = /^-?\d+$/;
/** What Hugging Face calls classes that nobody named. */
const PLACEHOLDER = /^LABEL_\d+$/;

const scalar = (value: unknown): string =>
  // A list of one is that one.
  Array.isArray(value) && value.length === 1
    ? scalar(value[0])
    : typeof value === 'string' || typeof value === 'number' || typeof value === 'boolean'
      ? String(value).trim()
      : '';

/** Values to be predicted are no classes: nearly every row would be one of its own. */
function refuseNumbers(given: readonly string[], values: readonly unknown[]): void {
  const isDecimal =
    given.length > 1 && given.every((word) => /^-?(\d+([.,]\d+)?|[.,]\d+)(e-?\d+)?$/i.test(word));
  const hasFraction =
    values.some((value) => typeof value === 'number' && !Number.isInteger(value)) ||
    given.some((word) => /[.,]\d*[1-9]/.test(word));
  if (isDecimal && hasFraction && new Set(given).size * 2 > given.length)
    fail(
      'bad-data',
      say`The labels are numbers such as ${given[0]!}, nearly each another one; to predict numbers choose the task regression (--task regression).`,
    );
}

/** Numbers of classes with a decimal, as pandas writes them beside missing ones: 1.0 is 1. */
function wholeNumbers(words: readonly string[], { known }: LabelOptions, notes: string[]): readonly string[] {
  const given = words.filter((word) => word !== '');
  const isDecimal = given.length > 0 && given.every((word) => /^-?\d+(\.0+)?$/.test(word));
  const pointed = given.find((word) => word.includes('.'));
  if (!isDecimal || pointed === undefined || known?.includes(pointed)) return words;
  notes.push(say`Labels such as ${pointed} are read as whole numbers.`);
  return words.map((word) => word.replace(/\.0+$/, ''));
}

/** Fewer classes may each have a row or two. */
const MANY_CLASSES = 50;

/** What is another in nearly every row names persons or things, no classes. */
function refuseNames(given: readonly string[], { known, names }: LabelOptions): void {
  const distinct = new Set(given);
  if (distinct.size <= MANY_CLASSES || distinct.size * 2 <= given.length || names) return;
  if (known && [...distinct].every((word) => known.includes(word))) return;
  fail(
    'bad-data',
    say`There are ${distinct.size} different labels in ${given.length} rows, such as "${given[0]!.slice(0, 40)}", so they name no classes; say which column holds the classes.`,
  );
}

/**
 * One class name per value, null for rows that were dropped.
 * @param values as the rows hold them
 * @param what is labelled, for complaints: `label`
 */
export function readLabels(
  values: readonly unknown[],
  origins: readonly Origin[],
  options: LabelOptions,
  drops: Drops,
  notes: string[],
): (string | null)[] {
  const { known, names } = options;
  const words = wholeNumbers(values.map(scalar), options, notes);
  const given = words.filter((word) => word !== '');
  const numbered = given.length > 0 && given.every((word) => WHOLE.test(word));
  // −1 is how published datasets mark the odd row without a label, where the others count from 0; with 0 and 1 alike it is a class.
  const minusOnes = given.filter((word) => word === '-1').length;
  const isThird = names === undefined && minusOnes > given.length / 10 && given.includes('1');
  const isClass = isThird && new Set(given).size <= 3;
  const hasUnlabelled = numbered && minusOnes > 0 && !given.includes('-2') && !isClass;
  if (numbered && minusOnes > 0 && isClass) notes.push(say`The label -1 is read as a class like the others.`);
  const highest = numbered ? given.reduce((most, word) => Math.max(most, Number(word)), 0) : 0;
  refuseNumbers(given, values);
  refuseNames(given, options);
  const isKnown = (word: string) => known?.includes(word) === true;
  const asNumbers =
    numbered &&
    !names &&
    known !== undefined &&
    !given.every(isKnown) &&
    highest < known.length &&
    (known.every((name) => PLACEHOLDER.test(name)) || highest === known.length - 1);
  const out = words.map((word, i): string | null => {
    const value = values[i];
    const drop = (what: string, advice: string): null => {
      drops.add(origins[i]!, { what, advice });
      return null;
    };
    if (Array.isArray(value) && value.length > 1)
      return drop(
        say`has several labels at once`,
        say`give one label for each text: an example is trained with one`,
      );
    if (word === '') return drop(say`has no label`, say`fill or delete what is incomplete`);
    if (hasUnlabelled && word === '-1')
      return drop(say`has the label -1, which means none,`, say`give a split that is labelled`);
    if (names && numbered)
      return (
        names[Number(word)] ??
        drop(
          say`has a label outside the ${names.length} classes that it names (0 … ${names.length - 1})`,
          say`mend or delete it`,
        )
      );
    return asNumbers ? known[Number(word)]! : word;
  });
  if (asNumbers)
    notes.push(say`The labels are read as numbers of the model's classes (0 … ${known.length - 1}).`);
  return withinKnown(byCase(out, known, notes), origins, options, drops, notes);
}

/** Names that differ from the model's in case alone are the model's. */
function byCase(
  found: readonly (string | null)[],
  known: readonly string[] | undefined,
  notes: string[],
): readonly (string | null)[] {
  if (!known) return found;
  const plain = new Map(known.map((name) => [name.toLowerCase(), name]));
  const given = new Set(found.filter((name) => name !== null));
  const other = [...given].filter((name) => !known.includes(name) && plain.has(name.toLowerCase()));
  // Two names of one class would become one: then they are meant to differ.
  const meant = [...given].map((name) =>
    known.includes(name) ? name : (plain.get(name.toLowerCase()) ?? name),
  );
  if (other.length === 0 || plain.size < known.length || new Set(meant).size < given.size) return found;
  notes.push(
    say`Labels such as "${other[0]!}" are read as the model's "${plain.get(other[0]!.toLowerCase())!}".`,
  );
  return found.map((name) => (name !== null && other.includes(name) ? plain.get(name.toLowerCase())! : name));
}

/** Says, or with `keepClasses` leaves out, what the model has no class for. */
function withinKnown(
  found: readonly (string | null)[],
  origins: readonly Origin[],
  { known, keepClasses }: LabelOptions,
  drops: Drops,
  notes: string[],
): (string | null)[] {
  if (!known) return [...found];
  const outside = new Map<string, Origin[]>();
  found.forEach((name, i) => {
    if (name !== null && !known.includes(name))
      outside.set(name, [...(outside.get(name) ?? []), origins[i]!]);
  });
  if (outside.size === 0) return [...found];
  const classes = `${known.slice(0, 8).join(', ')}${known.length > 8 ? ', …' : ''}`;
  if (keepClasses) {
    return found.map((name, i) => {
      if (name === null || known.includes(name)) return name;
      drops.add(origins[i]!, {
        what: say`has a label outside the model's ${known.length} classes (${classes})`,
        advice: say`mend it, or let the model get a new classifier`,
      });
      return null;
    });
  }
  const inside = found.some((name) => name !== null && known.includes(name));
  if (inside && !known.every((name) => PLACEHOLDER.test(name))) {
    const listed = [...outside].map(([name, where]) => `"${name}" (${originList(where)})`);
    notes.push(
      say`The model's ${known.length} classes (${classes}) do not have ${someOf(listed, 5)}: the classifier is made anew for the classes of the data.`,
    );
  }
  return [...found];
}
