/** The pictures of one wiring, linked: the graph, the factors with their numbers, the product, and the rotation where there are values. */
import { useEffect, useMemo, useRef } from 'react';
import type { Pattern } from '../../../methods.ts';
import type { Inspection } from '../../../protocol.ts';
import { FactorMaps } from './FactorMaps.tsx';
import { Graph } from './Graph.tsx';
import { ProductMap } from './ProductMap.tsx';
import { Rotation } from './Rotation.tsx';
import { createView, type View } from './view.ts';
import { wiringOf } from './wiring.ts';

/** The tensor that holds the blocks: boft_R, oft_R.weight, oft_embedding_R.weight. */
const BLOCKS = /_R(\.|$)/;

export function Wired(props: {
  /** Of a rotation. */
  readonly pattern: Pattern;
  /** How its blocks are kept: whole squares, as BOFT does, or triangles. */
  readonly isSquare: boolean;
  readonly inspection: Inspection | null;
  /** Shows the wiring of the paper's figure 4. */
  readonly onFigure?: () => void;
}) {
  const { pattern, isSquare, inspection, onFigure } = props;
  const before = useRef<View | null>(null);
  const view = useMemo(() => {
    const wiring = wiringOf(pattern);
    return wiring && createView(wiring, before.current);
  }, [pattern]);
  useEffect(() => {
    before.current = view;
  }, [view]);
  if (view === null) return null;
  const { rotation, factors = null } = inspection ?? {};
  const tensor = inspection?.tensors?.find(({ name }) => BLOCKS.test(name));
  return (
    <>
      <Graph view={view} onFigure={onFigure} />
      <FactorMaps
        view={view}
        pattern={pattern}
        learnt={factors}
        tensor={{ name: tensor?.name ?? (isSquare ? 'boft_R' : 'oft_R.weight'), data: tensor?.data ?? null }}
        isSquare={isSquare}
      />
      <ProductMap view={view} />
      {rotation && factors ? <Rotation view={view} rotation={rotation} factors={factors} /> : null}
    </>
  );
}
