/** Several adapters of one method into a new one: by weights, by vote of signs, by chance. */
import { useState } from 'react';
import { Button } from 'react-aria-components';
import { COMBINATIONS, type Combination } from '../../../adapters/combineTensors.ts';
import type { ShelfView } from '../../../app/shelf.ts';
import { Picker } from '../../parts/Picker.tsx';
import { usePage } from '../../usePage.ts';
import { ShelfError } from './ShelfError.tsx';

const KINDS: Readonly<Record<Combination, { readonly title: string; readonly detail: string }>> = {
  linear: { title: 'Linear', detail: 'the weighted sum' },
  cat: { title: 'Concatenate', detail: 'side by side: ranks add up (LoRA)' },
  ties: { title: 'TIES', detail: 'keep the largest, let signs vote, average the winners' },
  dare_linear: { title: 'DARE, linear', detail: 'drop at random, scale up the rest, sum' },
  dare_ties: { title: 'DARE, TIES', detail: 'drop at random, then let signs vote' },
  magnitude_prune: { title: 'Magnitude', detail: 'keep the largest, then sum' },
};

const numberOf = (text: string): number => (text.trim() === '' ? Number.NaN : Number(text));

export function Combine({ view }: { readonly view: ShelfView }) {
  const { shelf } = usePage();
  const [kind, setKind] = useState<Combination>('linear');
  const [weights, setWeights] = useState<Readonly<Record<string, string>>>({});
  const [density, setDensity] = useState('0.5');
  const [majority, setMajority] = useState<'total' | 'frequency'>('total');
  const [seed, setSeed] = useState('0');
  const [name, setName] = useState('combined');
  const { ticked } = view;
  const prunes = kind !== 'linear' && kind !== 'cat';
  const votes = kind === 'ties' || kind === 'dare_ties';
  const draws = kind.startsWith('dare');
  const combine = () =>
    void shelf.combine(name, ticked, {
      type: kind,
      weights: ticked.map((one) => numberOf(weights[one] ?? '1')),
      ...(prunes ? { density: numberOf(density) } : {}),
      ...(votes ? { majoritySign: majority } : {}),
      ...(draws ? { seed: numberOf(seed) } : {}),
    });
  return (
    <section className="block" aria-label="Combine adapters">
      <h3>Combine into a new one</h3>
      {ticked.length < 2 ? (
        <p className="hint">Tick two or more adapters of one method: LoRA, FourierFT or IA3.</p>
      ) : (
        <>
          <Picker
            label="How"
            value={kind}
            items={COMBINATIONS.map((id) => ({ id, ...KINDS[id] }))}
            onChange={(id) => setKind(id as Combination)}
          />
          <p className="hint">{KINDS[kind].detail}</p>
          <div className="combine-fields">
            {ticked.map((one) => (
              <Box
                key={one}
                label={`Weight of ${one}`}
                value={weights[one] ?? '1'}
                onChange={(text) => setWeights((old) => ({ ...old, [one]: text }))}
              />
            ))}
            {prunes ? <Box label="Density, the share kept" value={density} onChange={setDensity} /> : null}
            {draws ? <Box label="Seed" value={seed} onChange={setSeed} /> : null}
            <label className="field">
              <span className="field-label">Name</span>
              <input className="box" value={name} onChange={(event) => setName(event.target.value)} />
            </label>
          </div>
          {votes ? (
            <Picker
              label="Which sign wins"
              value={majority}
              items={[
                { id: 'total', title: 'total', detail: 'the sign of the sum' },
                { id: 'frequency', title: 'frequency', detail: 'the sign of most' },
              ]}
              onChange={(id) => setMajority(id as 'total')}
            />
          ) : null}
          <p className="shelf-tools">
            <Button className="button" isDisabled={view.busy !== null} onPress={combine}>
              Combine
            </Button>
          </p>
        </>
      )}
      <ShelfError view={view} at="combine" />
    </section>
  );
}

function Box(props: {
  readonly label: string;
  readonly value: string;
  readonly onChange: (text: string) => void;
}) {
  return (
    <label className="field">
      <span className="field-label">{props.label}</span>
      <input
        className="box box-number"
        inputMode="decimal"
        value={props.value}
        onChange={(event) => props.onChange(event.target.value)}
      />
    </label>
  );
}
