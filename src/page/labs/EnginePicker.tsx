/**
 * What computes in this tab's labs, and where one chooses it: what suits the machine, or what the reader or a link chose (`engine=webgpu`), until the tab
 * is closed.
 */

import { useEffect, useState } from 'react';
import { say } from '../../common.ts';
import type { EngineName } from '../../protocol.ts';
import { Action } from '../parts/Action.tsx';
import { Picker } from '../parts/Picker.tsx';
import { detectGpu } from '../webgpu.ts';

const ENGINES: readonly EngineName[] = ['webgpu', 'onnxruntime'];
const KEY = 'papilio-labs-engine';

const known = (text: string | null): EngineName | null => ENGINES.find((name) => name === text) ?? null;

/** Null: what suits the machine. */
export function chosenEngine(): EngineName | null {
  const linked = new URLSearchParams(globalThis.location?.hash.slice(1)).get('engine');
  if (linked !== null) keepEngine(known(linked));
  try {
    return known(sessionStorage.getItem(KEY));
  } catch {
    return known(linked);
  }
}

function keepEngine(engine: EngineName | null): void {
  try {
    if (engine === null) sessionStorage.removeItem(KEY);
    else sessionStorage.setItem(KEY, engine);
  } catch {
    // A browser that keeps nothing: the link says it each time.
  }
}

/** Begins anew with another engine: whatever was computed was the other's. */
function computeOn(engine: EngineName | null): void {
  keepEngine(engine);
  const params = new URLSearchParams(location.hash.slice(1));
  params.delete('engine');
  history.replaceState(history.state, '', `#${params.toString().replaceAll('%2C', ',')}`);
  location.reload();
}

/** Names are the same in every language. */
const TITLES: Readonly<Record<EngineName, string>> = { webgpu: 'WebGPU', onnxruntime: 'onnxruntime' };

/** Where WebGPU was chosen and there is none, whatever computes stands still: says so, with the way out. */
export function MissingEngine() {
  const [isMissing, setMissing] = useState(false);
  useEffect(() => {
    if (chosenEngine() !== 'webgpu') return;
    void detectGpu(navigator, isSecureContext).then(({ state }) => setMissing(state !== 'ready'));
  }, []);
  return isMissing ? (
    <p className="warning row" role="alert" data-testid="engine-missing">
      {say`WebGPU was chosen to compute, and this browser gives none here: what the engine computes on this page stands still.`}
      <Action kind="link" text={say`Compute with what suits this machine`} onPress={() => computeOn(null)} />
    </p>
  ) : null;
}

export function EnginePicker() {
  return (
    <div className="lab-engine">
      <Picker
        label={say`What computes`}
        value={chosenEngine() ?? 'auto'}
        items={[
          { id: 'auto', title: say`what suits this machine` },
          ...ENGINES.map((id) => ({ id, title: TITLES[id] })),
        ]}
        onChange={(id) => computeOn(known(id))}
      />
    </div>
  );
}
