/** What is done with several opened adapters: used and merged on the model in their order, or combined into a new one. */
import { useState } from 'react';
import { COMBINATIONS, type Combination } from '../../../methods.ts';
import { scoredOn } from '../../../protocol.ts';
import { scoreText } from '../../format.ts';
import { Action } from '../../parts/Action.tsx';
import { TextField } from '../../parts/Controls.tsx';
import { ErrorText } from '../../parts/Errors.tsx';
import { Block, ParityVerdict, Warnings } from '../../parts/Facts.tsx';
import { Measured } from '../../parts/Measured.tsx';
import { Picker } from '../../parts/Picker.tsx';
import { usePage, useUi } from '../../usePage.ts';
import type { AdapterPlace, AdapterSetView } from './adapterSet.ts';

/** What went wrong with opened adapters, beside the control that asked for it. */
export function SetError({ view, at }: { readonly view: AdapterSetView; readonly at: AdapterPlace }) {
  return view.error === null || view.errorAt !== at ? null : <ErrorText report={view.error} />;
}

/** What is done with the ticked ones, and what stands now. */
export function Together({ view }: { readonly view: AdapterSetView }) {
  const { adapterSet } = usePage();
  const isKnown = useUi((s) => s.gpu !== null);
  const { ticked, active, merged, parity, warnings, rows } = view;
  const isBusy = view.busy !== null;
  const fitting = ticked.filter((name) => rows.find((row) => row.name === name)?.fit?.reason === null);
  const isOff = isBusy || fitting.length === 0 || fitting.length < ticked.length;
  return (
    <Block
      title="On the model"
      label="Adapters on the model"
      beside={
        <span className="hint">
          {ticked.length === 0
            ? 'tick adapters, in the order they shall work'
            : `ticked: ${ticked.join(' → ')}`}
        </span>
      }
    >
      <p className="row tools">
        <Action text="Activate" isDisabled={isOff} onPress={() => void adapterSet.activate(fitting)} />
        <Action
          text={fitting.length > 1 ? 'Merge in this order' : 'Merge'}
          isDisabled={isOff || !isKnown}
          onPress={() => void adapterSet.merge(fitting)}
        />
        <Action
          text="Score each"
          isDisabled={isBusy || !isKnown || fitting.length === 0}
          onPress={() => void adapterSet.scoreEach(fitting)}
        />
        <Action
          text={ticked.length > 1 ? 'Save one zip' : 'Save as zip'}
          isDisabled={isBusy || ticked.length === 0}
          onPress={() => void adapterSet.saveZip(ticked)}
        />
      </p>
      {active.length > 0 || merged.length > 0 ? <Standing view={view} /> : null}
      {parity === null ? null : <ParityVerdict parity={parity} />}
      <SetError view={view} at="model" />
      <Warnings of={warnings} />
    </Block>
  );
}

/** The adapters that work on the model now, merged or active, with their score and the way back. */
function Standing({ view }: { readonly view: AdapterSetView }) {
  const { adapterSet } = usePage();
  const isKnown = useUi((s) => s.gpu !== null);
  const { active, merged, enabled, standing } = view;
  const isBusy = view.busy !== null;
  return (
    <>
      <p className="adapter-state" data-testid="adapters-state">
        {merged.length > 0
          ? `Merged into the weights: ${merged.join(' → ')}.`
          : `Active: ${active.join(' → ')}${enabled ? '' : ', switched off'}.`}{' '}
        {standing === null
          ? ''
          : `Held-out ${standing.after.metric}: ${scoreText(standing.before)} without, ${scoreText(standing.after)} with them, on ${scoredOn(standing.after)}.`}
        {standing === null ? null : <Measured of="adapter-score" about="score of the adapters together" />}
      </p>
      <p className="row tools">
        {merged.length > 0 ? (
          <Action text="Take out again" isDisabled={isBusy} onPress={() => void adapterSet.unmerge()} />
        ) : (
          <Action
            text={enabled ? 'Switch off' : 'Switch on'}
            isDisabled={isBusy}
            onPress={() => void adapterSet.setEnabled(!enabled)}
          />
        )}
        <Action
          text="Score as it stands"
          isDisabled={isBusy || !isKnown}
          onPress={() => void adapterSet.scoreStanding()}
        />
        <Action
          text="Save merged model"
          isDisabled={isBusy || !isKnown || (merged.length === 0 && !enabled)}
          onPress={() => void adapterSet.saveMerged()}
        />
      </p>
    </>
  );
}

const KINDS: Readonly<Record<Combination, { readonly title: string; readonly detail: string }>> = {
  linear: { title: 'Linear', detail: 'the weighted sum' },
  cat: { title: 'Concatenate', detail: 'side by side: ranks add up (LoRA)' },
  ties: { title: 'TIES', detail: 'keep the largest, let signs vote, average the winners' },
  dare_linear: { title: 'DARE, linear', detail: 'drop at random, scale up the rest, sum' },
  dare_ties: { title: 'DARE, TIES', detail: 'drop at random, then let signs vote' },
  magnitude_prune: { title: 'Magnitude', detail: 'keep the largest, then sum' },
};

const numberOf = (text: string): number => (text.trim() === '' ? Number.NaN : Number(text));

/** Several adapters of one method into a new one: by weights, by vote of signs, by chance. */
export function Combine({ view }: { readonly view: AdapterSetView }) {
  const { adapterSet } = usePage();
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
    void adapterSet.combine(name, ticked, {
      type: kind,
      weights: ticked.map((one) => numberOf(weights[one] ?? '1')),
      ...(prunes ? { density: numberOf(density) } : {}),
      ...(votes ? { majoritySign: majority } : {}),
      ...(draws ? { seed: numberOf(seed) } : {}),
    });
  return (
    <Block title="Combine into a new one" label="Combine adapters">
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
              <NumberField
                key={one}
                label={`Weight of ${one}`}
                value={weights[one] ?? '1'}
                onText={(text) => setWeights((old) => ({ ...old, [one]: text }))}
              />
            ))}
            {prunes ? (
              <NumberField label="Density, the share kept" value={density} onText={setDensity} />
            ) : null}
            {draws ? <NumberField label="Seed" value={seed} onText={setSeed} /> : null}
            <TextField label="Name" value={name} onText={setName} />
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
          <p className="row tools">
            <Action text="Combine" isDisabled={view.busy !== null} onPress={combine} />
          </p>
        </>
      )}
      <SetError view={view} at="combine" />
    </Block>
  );
}

const NumberField = (props: {
  readonly label: string;
  readonly value: string;
  readonly onText: (text: string) => void;
}) => <TextField isNumber inputMode="decimal" {...props} />;
