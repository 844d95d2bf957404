/** The data as it will be trained on: what was found, which column is what, and the first examples with the part that is learnt. */
import { useEffect } from 'react';
import { useStore } from 'zustand';
import { say } from '../../../common.ts';
import type { ExamplePreview, DataPreview as Preview, Task, TokenPreview } from '../../../protocol.ts';
import { examplesText, visibleToken } from '../../format.ts';
import { Toggle } from '../../parts/Controls.tsx';
import { ErrorText } from '../../parts/Errors.tsx';
import { Facts } from '../../parts/Facts.tsx';
import { Picker } from '../../parts/Picker.tsx';
import { Picture } from '../../parts/Pictures.tsx';
import { useHeard } from '../../parts/useHeard.ts';
import { Silence, useSilence, Waiting } from '../../parts/Waiting.tsx';
import { useChoice, usePage } from '../../usePage.ts';
import { type ColumnRow, columnRows, headerIn, incomplete, type Role, rolesIn, tasksIn } from './data.ts';

const TASKS = (): Readonly<Record<Task, string>> => ({
  'text-classification': say`A class for each text`,
  regression: say`A number for each text`,
  'token-classification': say`A tag for each word`,
  'masked-lm': say`Hidden words`,
  'causal-lm': say`The next word`,
  'image-classification': say`A class for each picture`,
});

const PADDING = () => [
  {
    id: 'length',
    title: say`by length`,
    detail: say`Examples of about the same length share a batch: less to compute`,
  },
  { id: 'longest', title: say`to the longest`, detail: say`Every batch is as long as the longest example` },
];

const WAY = () => say`another choice of model or data ends it`;

export function DataPreview() {
  const page = usePage();
  const view = useStore(page.data.view);
  const hasModel = useChoice((s) => s.report !== null);
  useEffect(() => page.data.watch(), [page]);
  const { preview, error } = view;
  const isBusy = view.busy !== null;
  const { task, tasks } = tasksIn(view);
  const silence = useSilence(isBusy, isBusy);
  if (preview === null && error === null)
    return isBusy ? (
      <p className="hint">
        <Waiting what={say`Reading the data`} way={WAY()} />
      </p>
    ) : hasModel ? null : (
      <p className="hint">{say`The preview appears when a model is chosen, since the model cuts the text into tokens.`}</p>
    );
  return (
    <section className="stack data-preview" aria-label={say`Preview of the data`} aria-busy={isBusy}>
      {silence === 0 ? null : (
        <p className="hint">
          {say`Reading the data again …`}
          <Silence seconds={silence} way={WAY()} />
        </p>
      )}
      {error === null ? null : <ErrorText report={error} />}
      {task !== null && tasks.length > 1 ? (
        <Picker
          label={say`Task`}
          value={task}
          items={tasks.map((id) => ({ id, title: TASKS()[id] }))}
          onChange={(id) => page.data.setTask(id as Task)}
        />
      ) : null}
      <Columns />
      {preview === null ? null : (
        <>
          <Found preview={preview} hasTask={tasks.length < 2} />
          <Padding preview={preview} />
          <Examples preview={preview} />
        </>
      )}
    </section>
  );
}

const ROLE_WORDS = (): Readonly<Record<Role, string>> => ({
  text: say`text`,
  pair: say`second text`,
  label: say`label`,
  value: say`number to predict`,
  prompt: say`prompt`,
  context: say`context, below the prompt`,
  answer: say`answer`,
  system: say`system message`,
  messages: say`conversation`,
  tools: say`tools`,
  rejected: say`rejected answer`,
  tokens: say`words`,
  tags: say`tags`,
  image: say`picture`,
});

const UNUSED = 'unused';

/** The columns of a table, each with what it is read as; guesses are called so. */
function Columns() {
  const page = usePage();
  const view = useStore(page.data.view);
  const mapping = useChoice((s) => s.reading.mapping);
  const rows = columnRows(view, mapping);
  if (rows.length === 0) return null;
  const hasHeader = headerIn(view);
  const roles = rolesIn(view);
  const lack = incomplete(view, mapping);
  return (
    <fieldset className="stack columns">
      <legend className="field-label">{say`Columns`}</legend>
      {hasHeader === null ? null : (
        <Toggle
          isOn={hasHeader}
          onChange={page.data.setHeader}
        >{say`The first row names the columns`}</Toggle>
      )}
      {rows.map((row) => (
        <Column
          key={row.column}
          row={row}
          roles={roles}
          hasNames={hasHeader !== false}
          onChange={(role) => page.data.setColumn(row.column, role)}
        />
      ))}
      {lack === null ? null : <p className="warning">{lack}</p>}
    </fieldset>
  );
}

function Column(props: {
  readonly row: ColumnRow;
  readonly roles: readonly Role[];
  /** Otherwise what the column begins with is what people know it by. */
  readonly hasNames: boolean;
  readonly onChange: (role: Role | null) => void;
}) {
  const { row, roles, hasNames, onChange } = props;
  const { column, role, isGuess, canDrop, begins } = row;
  return (
    <div className="column" data-testid={`column-${column}`}>
      <code className="column-name" title={begins === '' ? undefined : say`begins with: ${begins}`}>
        {column}
        {hasNames || begins === '' ? null : <span className="column-begins"> {begins}</span>}
      </code>
      <Picker
        label={say`What the column ${column} is`}
        isLabelHidden
        value={role ?? UNUSED}
        items={[
          ...(canDrop ? [{ id: UNUSED, title: say`not used` }] : []),
          ...roles.map((id) => ({ id, title: ROLE_WORDS()[id] })),
        ]}
        onChange={(id) => onChange(id === UNUSED ? null : (id as Role))}
      />
      <span className="column-guess fine">{isGuess ? say`guessed` : ''}</span>
    </div>
  );
}

function Found({ preview, hasTask }: { readonly preview: Preview; readonly hasTask: boolean }) {
  const { report, task } = preview;
  const now = useHeard();
  return (
    <>
      <Facts of={{ [say`Task`]: hasTask ? TASKS()[task] : null, [say`Examples`]: examplesText(report) }} />
      <ul className="stack data-notes">
        {report.notes.map((note) => (
          <li key={note}>{now(note)}</li>
        ))}
      </ul>
    </>
  );
}

function Padding({ preview }: { readonly preview: Preview }) {
  const page = usePage();
  const padding = useChoice((s) => s.reading.padding ?? 'length');
  const { kind } = preview.report;
  if (kind === 'image') return null;
  if (kind === 'text' || kind === 'masked-text')
    return (
      <p className="hint">{say`Texts are packed: one follows the other, and every window is full, so nothing is padded.`}</p>
    );
  return (
    <Picker
      label={say`Padding`}
      value={padding}
      items={PADDING()}
      onChange={(id) => page.data.setPadding(id as typeof padding)}
    />
  );
}

/** Tokens of one example that are shown at once. */
const SHOWN = 160;

const LEGENDS = (): Readonly<Partial<Record<Preview['report']['kind'], string>>> => ({
  text: say`The loss counts the underlined tokens: each is predicted from those before it.`,
  instruction: say`The loss counts the underlined tokens, the answer; the prompt is only read.`,
  'masked-text': say`The underlined tokens are hidden and predicted; above each stands what it was.`,
  'token-class': say`The loss counts the underlined tokens, each with its tag above it.`,
  'text-class': say`The loss counts the label of the whole text.`,
  'text-value': say`The loss counts the number of the whole text.`,
});

/** The first examples: pictures with their labels, or tokens of which those that the loss counts stand out by line and weight. */
function Examples({ preview }: { readonly preview: Preview }) {
  const { examples, report } = preview;
  if (examples.length === 0) return null;
  return (
    <div>
      <h4>{report.kind === 'image' ? say`Some of the examples` : say`The first examples`}</h4>
      {report.kind === 'image' ? (
        <ul className="thumbnails">
          {examples.map((example, i) => (
            // biome-ignore lint/suspicious/noArrayIndexKey: examples have an order and no name.
            <li key={i}>
              {example.picture === undefined ? null : (
                <Picture {...example.picture} label={say`a picture of class ${example.label ?? ''}`} />
              )}
              <span>{example.label}</span>
            </li>
          ))}
        </ul>
      ) : (
        <>
          <p className="hint">{LEGENDS()[report.kind]}</p>
          <ol className="stack token-examples">
            {examples.map((example, i) => (
              // biome-ignore lint/suspicious/noArrayIndexKey: examples have an order and no name.
              <li key={i}>
                <Tokens example={example} />
              </li>
            ))}
          </ol>
        </>
      )}
    </div>
  );
}

function Tokens({ example }: { readonly example: ExamplePreview }) {
  const { origin, tokens, label } = example;
  const rest = tokens.length - SHOWN;
  return (
    <>
      <p className="row token-head">
        {label === undefined ? null : <b>{label}</b>}
        <span className="hint">{[origin, say`${tokens.length} tokens`].filter(Boolean).join(', ')}</span>
      </p>
      <p className="tokens">
        {tokens.slice(0, SHOWN).map((token, i) => (
          // biome-ignore lint/suspicious/noArrayIndexKey: a token's place is what it is.
          <Token key={i} token={token} />
        ))}
        {rest > 0 ? <span className="hint"> {say`and ${rest} more`}</span> : null}
      </p>
    </>
  );
}

function Token({ token }: { readonly token: TokenPreview }) {
  const { text, counts, label, id } = token;
  if (!counts)
    return (
      <span className="token" title={say`token ${id}`}>
        {visibleToken(text)}
      </span>
    );
  return (
    <mark className="token is-counted" title={say`token ${id}, counted`}>
      {label === undefined ? null : <small>{label}</small>}
      {visibleToken(text)}
    </mark>
  );
}
