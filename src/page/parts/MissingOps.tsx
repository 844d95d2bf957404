/** What a model that cannot be imported lacks: operators with their nodes, and what was recognised; to read and to copy. */
import { Button } from 'react-aria-components';
import type { ErrorReport } from '../../training/protocol.ts';
import { Icon } from './Icon.tsx';

interface Missing {
  readonly op: string;
  readonly node: string;
  readonly reason: string;
}

interface Recognised {
  readonly family: string;
  readonly modules: readonly { readonly name: string; readonly kind: string }[];
  readonly nodes: { readonly total: number; readonly supported: number; readonly waiting: number };
}

const isMissing = (value: unknown): value is Missing =>
  typeof value === 'object' && value !== null && 'op' in value && 'node' in value;

/** Nothing for errors that do not list operators. */
export function MissingOps({ report }: { readonly report: ErrorReport }) {
  const missing = (Array.isArray(report.details.missing) ? report.details.missing : []).filter(isMissing);
  if (missing.length === 0) return null;
  const recognised = report.details.recognised as Recognised | undefined;
  const byOp = new Map<string, Missing[]>();
  for (const one of missing) byOp.set(one.op, [...(byOp.get(one.op) ?? []), one]);
  const layers = recognised?.modules.filter(({ kind }) => kind === 'linear' || kind === 'conv1d') ?? [];
  return (
    <details className="missing">
      <summary>
        <Icon name="chevron" /> {byOp.size === 1 ? 'One operator is' : `${byOp.size} operators are`} missing,
        at {missing.length} {missing.length === 1 ? 'node' : 'nodes'}
      </summary>
      <dl>
        {[...byOp].map(([op, nodes]) => (
          <div key={op}>
            <dt>
              <code>{op}</code>
            </dt>
            {nodes.map(({ node, reason }) => (
              <dd key={`${node} ${reason}`}>
                <code>{node || 'a node without a name'}</code> {reason}
              </dd>
            ))}
          </div>
        ))}
      </dl>
      {recognised === undefined ? null : (
        <>
          <p>
            Recognised: {recognised.nodes.supported} of {recognised.nodes.total} nodes
            {recognised.family === 'unknown' ? '' : `, a ${recognised.family} model`},{' '}
            {recognised.modules.length} modules.
          </p>
          {layers.length === 0 ? null : (
            <p className="missing-modules">Its layers: {layers.map(({ name }) => name).join(', ')}</p>
          )}
        </>
      )}
      <Button
        className="text-button"
        onPress={() => void navigator.clipboard.writeText(JSON.stringify({ missing, recognised }, null, 2))}
      >
        copy the list
      </Button>
    </details>
  );
}
