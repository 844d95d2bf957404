/** The columns of a table, each with what it is read as; guesses are called so. */
import { Switch } from 'react-aria-components';
import { type ColumnRow, type DataLook, headerIn, incomplete, type Role } from '../../../app/data.ts';
import { Picker } from '../../parts/Picker.tsx';
import { useChoice } from '../../usePage.ts';

const ROLE_WORDS: Readonly<Record<Role, string>> = {
  text: 'text',
  pair: 'second text',
  label: 'label',
  value: 'number to predict',
  prompt: 'prompt',
  context: 'context, below the prompt',
  answer: 'answer',
  system: 'system message',
  messages: 'conversation',
  tools: 'tools',
  rejected: 'rejected answer',
  tokens: 'words',
  tags: 'tags',
  image: 'picture',
};

const UNUSED = 'unused';

export function Columns(props: {
  readonly view: DataLook;
  readonly rows: readonly ColumnRow[];
  readonly roles: readonly Role[];
  readonly onChange: (column: string, role: Role | null) => void;
  readonly onHeader: (hasHeader: boolean) => void;
}) {
  const { view, rows, roles, onChange, onHeader } = props;
  const hasHeader = headerIn(view);
  const mapping = useChoice((s) => s.dataOptions.mapping);
  const lack = incomplete(view, mapping);
  return (
    <fieldset className="columns">
      <legend className="field-label">Columns</legend>
      {hasHeader === null ? null : (
        <Switch className="switch" isSelected={hasHeader} onChange={onHeader}>
          <span className="switch-track" />
          The first row names the columns
        </Switch>
      )}
      {rows.map(({ column, role, isGuess, canDrop, begins }) => (
        <div key={column} className="column" data-testid={`column-${column}`}>
          <code className="column-name" title={begins === '' ? undefined : `begins with: ${begins}`}>
            {column}
            {hasHeader === false && begins !== '' ? <span className="column-begins"> {begins}</span> : null}
          </code>
          <Picker
            label={`What the column ${column} is`}
            isLabelHidden
            value={role ?? UNUSED}
            items={[
              ...(canDrop ? [{ id: UNUSED, title: 'not used' }] : []),
              ...roles.map((id) => ({ id, title: ROLE_WORDS[id] })),
            ]}
            onChange={(id) => onChange(column, id === UNUSED ? null : (id as Role))}
          />
          <span className="column-guess">{isGuess ? 'guessed' : ''}</span>
        </div>
      ))}
      {lack === null ? null : <p className="warning">{lack}</p>}
    </fieldset>
  );
}
