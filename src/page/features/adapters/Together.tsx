/** What is done with several opened adapters: used and merged on the model in their order, or combined into a new one. */
import { useState } from 'react';
import { say } from '../../../common.ts';
import { COMBINATIONS, type Combination } from '../../../methods.ts';

import { metricText, scoredOn, scoreText } from '../../format.ts';
import { Action } from '../../parts/Action.tsx';
import { TextField } from '../../parts/Controls.tsx';
import { ErrorText } from '../../parts/Errors.tsx';
import { Block, ParityVerdict, Warnings } from '../../parts/Facts.tsx';
import { Measured } from '../../parts/Measured.tsx';
import { Picker } from '../../parts/Picker.tsx';
import { Sentences } from '../../parts/Sentences.tsx';
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
      title={say`On the model`}
      label={say`Adapters on the model`}
      beside={
        <span className="hint">
          {ticked.length === 0
            ? say`tick adapters, in the order they shall work`
            : say`ticked: ${ticked.join(' → ')}`}
        </span>
      }
    >
      <p className="row tools">
        <Action text={say`Activate`} isDisabled={isOff} onPress={() => void adapterSet.activate(fitting)} />
        <Action
          text={fitting.length > 1 ? say`Merge in this order` : say`Merge`}
          isDisabled={isOff || !isKnown}
          onPress={() => void adapterSet.merge(fitting)}
        />
        <Action
          text={say`Score each`}
          isDisabled={isBusy || !isKnown || fitting.length === 0}
          onPress={() => void adapterSet.scoreEach(fitting)}
        />
        <Action
          text={ticked.length > 1 ? say`Save one zip` : say`Save as zip`}
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
        <Sentences>
          {merged.length > 0
            ? say`Merged into the weights: ${merged.join(' → ')}.`
            : enabled
              ? say`Active: ${active.join(' → ')}.`
              : say`Active: ${active.join(' → ')}, switched off.`}
          {standing === null
            ? ''
            : say`Held-out ${metricText(standing.after.metric)}: ${scoreText(standing.before)} without, ${scoreText(standing.after)} with them, on ${scoredOn(standing.after)}.`}
        </Sentences>
        {standing === null ? null : (
          <Measured of="adapter-score" about={say`score of the adapters together`} />
        )}
      </p>
      <p className="row tools">
        {merged.length > 0 ? (
          <Action text={say`Take out again`} isDisabled={isBusy} onPress={() => void adapterSet.unmerge()} />
        ) : (
          <Action
            text={enabled ? say`Switch off` : say`Switch on`}
            isDisabled={isBusy}
            onPress={() => void adapterSet.setEnabled(!enabled)}
          />
        )}
        <Action
          text={say`Score as it stands`}
          isDisabled={isBusy || !isKnown}
          onPress={() => void adapterSet.scoreStanding()}
        />
        <Action
          text={say`Save merged model`}
          isDisabled={isBusy || !isKnown || (merged.length === 0 && !enabled)}
          onPress={() => void adapterSet.saveMerged()}
        />
      </p>
    </>
  );
}

const KINDS = (): Readonly<Record<Combination, { readonly title: string; readonly detail: string }>> => ({
  linear: { title: say`Linear`, detail: say`the weighted sum` },
  cat: { title: say`Concatenate`, detail: say`side by side: ranks add up (LoRA)` },
  ties: { title: 'TIES', detail: say`keep the largest, let signs vote, average the winners` },
  dare_linear: { title: say`DARE, linear`, detail: say`drop at random, scale up the rest, sum` },
  dare_ties: { title: say`DARE, TIES`, detail: say`drop at random, then let signs vote` },
  magnitude_prune: { title: say`Magnitude`, detail: say`keep the largest, then sum` },
});

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
    <Block title={say`Combine into a new one`} label={say`Combine adapters`}>
      {ticked.length < 2 ? (
        <p className="hint">{say`Tick two or more adapters of one method: LoRA, FourierFT or IA3.`}</p>
      ) : (
        <>
          <Picker
            label={say`How`}
            value={kind}
            items={COMBINATIONS.map((id) => ({ id, ...KINDS()[id] }))}
            onChange={(id) => setKind(id as Combination)}
          />
          <p className="hint">{KINDS()[kind].detail}</p>
          <div className="combine-fields">
            {ticked.map((one) => (
              <NumberField
                key={one}
                label={say`Weight of ${one}`}
                value={weights[one] ?? '1'}
                onText={(text) => setWeights((old) => ({ ...old, [one]: text }))}
              />
            ))}
            {prunes ? (
              <NumberField label={say`Density, the share kept`} value={density} onText={setDensity} />
            ) : null}
            {draws ? <NumberField label={say`Seed`} value={seed} onText={setSeed} /> : null}
            <TextField label={say`Name`} value={name} onText={setName} />
          </div>
          {votes ? (
            <Picker
              label={say`Which sign wins`}
              value={majority}
              items={[
                { id: 'total', title: say`total`, detail: say`the sign of the sum` },
                { id: 'frequency', title: say`frequency`, detail: say`the sign of most` },
              ]}
              onChange={(id) => setMajority(id as 'total')}
            />
          ) : null}
          <p className="row tools">
            <Action text={say`Combine`} isDisabled={view.busy !== null} onPress={combine} />
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
