/** What a sweep is called: its fields by their own names, as it is kept ("boft_block_size × seed, 2"), and by their titles, as it is drawn. */
import { say } from '../../../common.ts';
import { fieldMeta, METHODS } from '../../../methods.ts';
import { trainingShape } from '../setup/settings.ts';

const BETWEEN = ' × ';

/** @param fields `method`, `training.…` or `config.…` */
export const sweepName = (fields: readonly string[]): string =>
  fields.map((field) => field.slice(field.indexOf('.') + 1)).join(BETWEEN);

function titleOf(key: string): string {
  if (key === 'method') return say`method`;
  const shapes = [trainingShape, ...Object.values(METHODS).map(({ schema }) => schema.shape)];
  const schema = shapes.find((shape) => Object.hasOwn(shape, key))?.[key];
  return (schema && fieldMeta(schema)?.title.toLowerCase()) || key;
}

/** A name of words, as earlier pages have kept it, stays. */
export function sweepTitle(name: string): string {
  const [, fields = name, number = ''] = /^(.*?)(, \d+)?$/.exec(name) ?? [];
  return fields.split(BETWEEN).map(titleOf).join(BETWEEN) + number;
}
