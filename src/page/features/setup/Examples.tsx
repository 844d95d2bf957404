/** The first examples: pictures with their labels, or tokens of which those that the loss counts stand out by line and weight. */
import type { ExamplePreview, TokenPreview } from '../../../data/preview.ts';
import type { DataPreview } from '../../../training/protocol.ts';
import { Thumbnail } from '../../parts/Thumbnail.tsx';

/** Tokens of one example that are shown at once. */
const SHOWN = 160;

const LEGENDS: Readonly<Partial<Record<DataPreview['report']['kind'], string>>> = {
  text: 'The loss counts the underlined tokens: each is predicted from those before it.',
  instruction: 'The loss counts the underlined tokens, the answer; the prompt is only read.',
  'masked-text': 'The underlined tokens are hidden and predicted; above each stands what it was.',
  'token-class': 'The loss counts the underlined tokens, each with its tag above it.',
  'text-class': 'The loss counts the label of the whole text.',
  'text-value': 'The loss counts the number of the whole text.',
};

export function Examples({ preview }: { readonly preview: DataPreview }) {
  const { examples, report } = preview;
  if (examples.length === 0) return null;
  return (
    <div className="previews">
      <h4>{report.kind === 'image' ? 'Some of the examples' : 'The first examples'}</h4>
      {report.kind === 'image' ? (
        <ul className="thumbnails">
          {examples.map((example, i) => (
            // biome-ignore lint/suspicious/noArrayIndexKey: examples have an order and no name.
            <li key={i}>
              {example.picture === undefined ? null : (
                <Thumbnail {...example.picture} label={`a picture of class ${example.label}`} />
              )}
              <span>{example.label}</span>
            </li>
          ))}
        </ul>
      ) : (
        <>
          <p className="hint">{LEGENDS[report.kind]}</p>
          <ol className="token-examples">
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
      <p className="token-head">
        {label === undefined ? null : <b>{label}</b>}
        <span className="hint">{[origin, `${tokens.length} tokens`].filter(Boolean).join(', ')}</span>
      </p>
      <p className="tokens">
        {tokens.slice(0, SHOWN).map((token, i) => (
          // biome-ignore lint/suspicious/noArrayIndexKey: a token's place is what it is.
          <Token key={i} token={token} />
        ))}
        {rest > 0 ? <span className="hint"> and {rest} more</span> : null}
      </p>
    </>
  );
}

/** Line ends and spaces are made visible. */
const visible = (text: string): string => text.replaceAll('\n', '↵').replaceAll(' ', '␣') || '∅';

function Token({ token }: { readonly token: TokenPreview }) {
  const { text, counts, label, id } = token;
  if (!counts)
    return (
      <span className="token" title={`token ${id}`}>
        {visible(text)}
      </span>
    );
  return (
    <mark className="token is-counted" title={`token ${id}, counted`}>
      {label === undefined ? null : <small>{label}</small>}
      {visible(text)}
    </mark>
  );
}
