/** zod, with what it refuses said in one place: a plain sentence in the reader's language for a form, a link, a file and the command line alike. */
import { z } from 'zod';
import { anyOf, say, whole } from './say.ts';

const amount = (n: number | bigint): string => (Number.isInteger(n) ? whole(Number(n)) : String(n));

/** What a value must be that is of another type. */
function typeSentence(expected: string, input: unknown): string {
  if (input === undefined) return say`it is missing`;
  switch (expected) {
    case 'number':
      return typeof input === 'number' ? say`it must be a finite number` : say`it must be a number`;
    case 'int':
      return say`it must be a whole number`;
    case 'string':
      return say`it must be text`;
    case 'boolean':
      return say`it must be true or false`;
    case 'array':
    case 'tuple':
      return say`it must be a list`;
    case 'object':
    case 'record':
      return say`it must be an object with named fields`;
    case 'null':
      return say`it must be null`;
    default:
      return say`it must be of the type ${expected}`;
  }
}

function leastSentence({
  origin,
  minimum,
  inclusive,
}: z.core.$ZodRawIssue<z.core.$ZodIssueTooSmall>): string {
  const least = amount(minimum);
  if (minimum === 1 && origin !== 'number' && origin !== 'int') return say`it must not be empty`;
  if (origin === 'string') return say`it must have at least ${least} letters`;
  if (origin === 'array' || origin === 'set') return say`it must have at least ${least} entries`;
  return inclusive ? say`it must be at least ${least}` : say`it must be more than ${least}`;
}

function mostSentence({ origin, maximum, inclusive }: z.core.$ZodRawIssue<z.core.$ZodIssueTooBig>): string {
  const most = amount(maximum);
  if (origin === 'string') return say`it must have at most ${most} letters`;
  if (origin === 'array' || origin === 'set') return say`it must have at most ${most} entries`;
  return inclusive ? say`it must be at most ${most}` : say`it must be less than ${most}`;
}

/** Keys that a sentence names. */
const NAMED = 5;

/** What is wrong with a value, as the rest of "r = -3 is not used: …", without a full stop; a schema's own sentence goes before it. */
function sentenceOf(issue: z.core.$ZodRawIssue): string {
  switch (issue.code) {
    case 'invalid_type':
      return typeSentence(issue.expected, issue.input);
    case 'too_small':
      return leastSentence(issue);
    case 'too_big':
      return mostSentence(issue);
    case 'invalid_value':
      return issue.values.length === 1
        ? say`it must be ${JSON.stringify(issue.values[0])}`
        : say`it must be one of these: ${anyOf(issue.values.map(String))}`;
    case 'unrecognized_keys':
      return say`there is no setting ${anyOf(issue.keys.slice(0, NAMED).map((key) => JSON.stringify(key.slice(0, 80))))}`;
    case 'not_multiple_of':
      return say`it must be a multiple of ${amount(issue.divisor)}`;
    case 'invalid_union':
      return say`none of the accepted types fits this value`;
    case 'invalid_format':
      return say`it is not written as such a text is`;
    default:
      return say`it does not fit`;
  }
}

z.config({ customError: sentenceOf });

export { z };
