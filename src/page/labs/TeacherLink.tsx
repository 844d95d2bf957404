/** A link to the lab as it stands, with controls locked or hidden: for whoever hands it to others. */
import { useState } from 'react';
import { say } from '../../common.ts';
import { Action } from '../parts/Action.tsx';
import { Check, Fold } from '../parts/Controls.tsx';
import { useLab } from './useLab.ts';

const SAID_MS = 2500;

export function TeacherLink() {
  const lab = useLab();
  const [locked, setLocked] = useState<readonly string[]>(lab.locked);
  const [hidden, setHidden] = useState<readonly string[]>(lab.hidden);
  const [isCopied, setCopied] = useState(false);
  const link = lab.linkTo({ values: lab.values, locked, hidden });
  const toggled = (names: readonly string[], name: string, isOn: boolean) =>
    isOn ? [...names, name] : names.filter((one) => one !== name);
  const copy = async () => {
    const isDone = await navigator.clipboard?.writeText(link).then(
      () => true,
      () => false,
    );
    setCopied(isDone === true);
    setTimeout(() => setCopied(false), SAID_MS);
  };
  return (
    <Fold summary={say`A link to this lab as it stands now`}>
      <p className="hint">
        {say`It opens the lab with these values. What you lock cannot be moved; what you hide is not shown.`}
      </p>
      <div className="lab-table">
        <table>
          <thead>
            <tr>
              <th scope="col">{say`Control`}</th>
              <th scope="col">{say`Locked`}</th>
              <th scope="col">{say`Hidden`}</th>
            </tr>
          </thead>
          <tbody>
            {lab.controls.map(({ name }) => (
              <tr key={name}>
                <th scope="row">{name}</th>
                <td>
                  <Check
                    isOn={locked.includes(name)}
                    onChange={(isOn) => setLocked(toggled(locked, name, isOn))}
                  >
                    <span className="hidden">{say`Lock ${name}`}</span>
                  </Check>
                </td>
                <td>
                  <Check
                    isOn={hidden.includes(name)}
                    onChange={(isOn) => setHidden(toggled(hidden, name, isOn))}
                  >
                    <span className="hidden">{say`Hide ${name}`}</span>
                  </Check>
                </td>
              </tr>
            ))}
          </tbody>
        </table>
      </div>
      <p className="row">
        <input className="box lab-link" readOnly aria-label={say`The link`} value={link} />
        <Action icon="link" text={isCopied ? say`Copied` : say`Copy the link`} onPress={() => void copy()} />
      </p>
    </Fold>
  );
}
