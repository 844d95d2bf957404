/** Which column is what: told by the user, else guessed by the names that people and published datasets use, else by what the columns hold. */
import { fail } from '../../lib/errors.ts';
import { closest } from '../../lib/names.ts';
import { paragraph, say } from '../../lib/say.ts';
import { guessByContent, NAMES, numbersIn, type Role } from './content.ts';

/** A column by role, by its name or its number from 1; '' for an optional role that no column has, whatever its name. */
export type ColumnMapping = { readonly [R in Role]?: string | number };
/** Columns that the table has. */
export type FoundColumns = { readonly [R in Role]?: string };

const ROLES = Object.keys(NAMES) as Role[];

/** Names that columns have besides those with a role; a row that has one is a header. */
const OTHERS =
  /^(id|idx|index|ids|uid|uuid|guid|name|date|time|timestamp|created_at|author|user_id|username|url|link|source|lang|language|split|fold|unnamed: \d+|v\d+|x\d+|col(umn)?[ _]?\d+|sentence ?#|word|pos|tag|head|deprel|count|length|flag)$/;
const KNOWN: ReadonlySet<string> = new Set(Object.values(NAMES).flat());

/** Whether a cell is a name that columns usually have. */
export function isKnownName(cell: string): boolean {
  const name = cell.trim().toLowerCase();
  return KNOWN.has(name) || OTHERS.test(name);
}

/** A mapping from outside. @throws PapilioError 'bad-argument' naming the roles there are */
export function checkMapping(value: unknown): ColumnMapping {
  if (typeof value !== 'object' || value === null || Array.isArray(value))
    return fail(
      'bad-argument',
      say`A column mapping is an object such as {"text": "review", "label": "stars"}, or {"text": 1, "label": 2}.`,
    );
  for (const [role, column] of Object.entries(value)) {
    if (!ROLES.includes(role as Role))
      fail('bad-argument', say`A column cannot be mapped to "${role}"; choose among ${ROLES.join(', ')}.`);
    if (typeof column !== 'string' && !(Number.isInteger(column) && (column as number) > 0))
      fail(
        'bad-argument',
        say`The column for "${role}" must be its name, or its number from 1, not ${JSON.stringify(column)}.`,
      );
  }
  return value as ColumnMapping;
}

/** A table as its columns are chosen from. */
export interface ColumnsOf {
  readonly file: string;
  readonly columns: readonly string[];
  /** Columns that can be guessed; default: all. One that only counts rows is none. */
  readonly guessable?: readonly string[];
  readonly rows: readonly { readonly values: Readonly<Record<string, unknown>> }[];
}

/** A column that has no name of its own is called by its number, `column 3`. */
const named = (column: string): string => (/^column \d+$/.test(column) ? column : `"${column}"`);

/** The column that is meant, by its name, or where none is called so by its number. */
function columnMeant({ file, columns }: ColumnsOf, meant: string | number): string {
  if (typeof meant === 'string' && columns.includes(meant)) return meant;
  const number = typeof meant === 'string' && !/^[1-9]\d*$/.test(meant) ? Number.NaN : Number(meant);
  const known = columns[number - 1];
  if (known !== undefined) return known;
  const [near] = typeof meant === 'string' ? closest(meant, columns, 1) : [];
  const has = columns.map(named).join(', ');
  const wrong =
    typeof meant === 'number'
      ? say`${file} has no column ${meant}; it has ${has}.`
      : say`${file} has no column "${meant}"; it has ${has}.`;
  return fail('bad-data', near === undefined ? wrong : say`${wrong} Did you mean ${named(near)}?`, {
    columns,
  });
}

type Roles = { readonly needed: readonly Role[]; readonly optional?: readonly Role[] };

/**
 * The columns for `needed` and, where there are any, `optional` roles: as told, else by their names, else by what they hold. A column serves one role
 * only.
 * @throws PapilioError 'bad-data' naming the columns that the file has
 */
export function mapColumns(
  table: ColumnsOf,
  given: ColumnMapping,
  roles: Roles,
): { readonly mapping: FoundColumns; readonly byContent: readonly Role[] } {
  const { guessable = table.columns } = table;
  const found: Partial<Record<Role, string>> = {};
  for (const [role, meant] of Object.entries(given) as [Role, string | number][]) {
    if (!roles.needed.includes(role) && !roles.optional?.includes(role)) continue;
    if (meant !== '') found[role] = columnMeant(table, meant);
  }
  const taken = new Set(Object.values(found));
  const take = (role: Role, guess: string | undefined): boolean => {
    if (guess === undefined) return false;
    found[role] = guess;
    taken.add(guess);
    return true;
  };
  for (const role of [...roles.needed, ...(roles.optional ?? [])])
    if (found[role] === undefined && (given[role] !== '' || roles.needed.includes(role)))
      take(role, guessColumn(guessable, role, taken));
  const missing = roles.needed.filter((role) => found[role] === undefined);
  const byContent =
    missing.length === 0
      ? []
      : guessByContent(guessable, table.rows, taken, missing).flatMap(([role, column]) =>
          take(role, column) ? [role] : [],
        );
  const role = missing.find((r) => found[r] === undefined);
  if (role !== undefined) refuse(table, role, roles.needed);
  const order = [...roles.needed, ...(roles.optional ?? [])].filter((r) => found[r] !== undefined);
  return { mapping: Object.fromEntries(order.map((r) => [r, found[r]])), byContent };
}

/** What a table holds that has columns for these roles; what is trained reads what its first needed role says. */
const contents = (): readonly (readonly [words: string, roles: readonly Role[]])[] => [
  [say`words with tags`, ['tokens', 'tags']],
  [say`conversations`, ['messages']],
  [say`prompts with answers`, ['prompt', 'answer']],
  [say`texts`, ['text']],
  [say`pictures`, ['image']],
];

/** "It seems to hold texts, and the model reads pictures." where a table holds something else than what is read. */
function otherContents({ columns, guessable = columns, rows }: ColumnsOf, needed: readonly Role[]): string {
  const all = contents();
  const wanted = all.find(([, [main]]) => main === needed[0]);
  const holds = (roles: readonly Role[]) => hasColumns(guessable, {}, roles);
  const shows = (roles: readonly Role[]) =>
    guessByContent(guessable, rows, new Set(), roles).length === roles.length;
  const others = all.filter((content) => content !== wanted);
  const found = others.find(([, roles]) => holds(roles)) ?? others.find(([, roles]) => shows(roles));
  return wanted && found ? say`It seems to hold ${found[0]}, and the model reads ${wanted[0]}.` : '';
}

function refuse(table: ColumnsOf, role: Role, needed: readonly Role[]): never {
  const { file, columns, rows } = table;
  const has = columns.map(named).join(', ');
  const wrong =
    role === 'label' || role === 'value'
      ? say`${file} has no labels: no column "label"; it has ${has}.`
      : say`${file} has no column "${role}"; it has ${has}.`;
  const numbers = role === 'label' ? numbersIn(columns, rows) : undefined;
  const other = role === needed[0] ? otherContents(table, needed) : '';
  return fail(
    'bad-data',
    paragraph([
      wrong,
      ...(other === '' ? [] : [other]),
      numbers === undefined
        ? say`Say which column it is, by its name or its number (on the command line: --columns '{"${role}": …}').`
        : say`Say which column it is, by its name or its number (on the command line: --columns '{"${role}": …}'), or train for the task regression, if ${named(numbers)} is to be predicted.`,
    ]),
    { role, columns },
  );
}

function guessColumn(columns: readonly string[], role: Role, taken: ReadonlySet<string>): string | undefined {
  for (const name of NAMES[role]) {
    const column = columns.find((c) => c.trim().toLowerCase() === name && !taken.has(c));
    if (column !== undefined) return column;
  }
  return undefined;
}

/** Whether every role has a column, told or guessed by its name. */
export function hasColumns(
  columns: readonly string[],
  given: ColumnMapping,
  roles: readonly Role[],
): boolean {
  return roles.every((role) => (given[role] ?? guessColumn(columns, role, new Set()) ?? '') !== '');
}

/** `"review" as text and column 2 as label`. */
export const describeMapping = (mapping: FoundColumns): string =>
  Object.entries(mapping)
    .map(([role, column]) => say`${named(column)} as ${role}`)
    .join(', ');
