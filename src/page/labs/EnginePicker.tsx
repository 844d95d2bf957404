/** What computes in the labs: by itself what suits the machine. */
import { say } from '../../common.ts';
import { ENGINE_TITLES, type EngineName } from '../../protocol.ts';
import { Picker } from '../parts/Picker.tsx';
import { chosenEngine, computeOn } from './engineChoice.ts';

export function EnginePicker() {
  return (
    <Picker
      label={say`What computes`}
      value={chosenEngine() ?? 'auto'}
      items={[
        { id: 'auto', title: say`what suits this machine` },
        ...Object.entries(ENGINE_TITLES).map(([id, title]) => ({ id, title })),
      ]}
      onChange={(id) => computeOn(id === 'auto' ? null : (id as EngineName))}
    />
  );
}
