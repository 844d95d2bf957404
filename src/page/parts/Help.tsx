/** The sheet of keys, written by the tables of commands; and what this page is, by whom, under which licence. */
import { Dialog, Heading, Modal, ModalOverlay } from 'react-aria-components';
import { say } from '../../common.ts';
import { COMMANDS, keyText, OWN_KEYS } from '../commands.ts';
import { KeptFiles } from '../features/offline/NewVersion.tsx';
import { usePage, useUi } from '../usePage.ts';
import { IconButton } from './Icon.tsx';
import { rich } from './rich.ts';

export function Help() {
  const page = usePage();
  const isOpen = useUi((s) => s.isHelpOpen);
  return (
    <ModalOverlay
      className="overlay"
      isDismissable
      isOpen={isOpen}
      onOpenChange={(open) => page.ui.setState({ isHelpOpen: open })}
    >
      <Modal className="modal">
        <Dialog className="dialog">
          <Heading slot="title">{say`Keyboard`}</Heading>
          <IconButton slot="close" icon="cross" label={say`Close`} className="dialog-close" />
          <KeySheet />
          <KeptFiles />
          <p className="hint">
            {rich`Papilio comes under the MIT licence, with parts by others: ${(
              <a href="./licences.txt" target="_blank" rel="noreferrer">
                {say`their licences`}
              </a>
            )}.`}
          </p>
        </Dialog>
      </Modal>
    </ModalOverlay>
  );
}

/** Every key there is. */
export function KeySheet() {
  return (
    <>
      <dl className="keys">
        {COMMANDS.map(({ id, keyLabel, label }) => (
          <div key={id}>
            <dt>
              <kbd>{keyLabel}</kbd>
            </dt>
            <dd>{label()}</dd>
          </div>
        ))}
      </dl>
      <h3>{say`Where the focus is`}</h3>
      <dl className="keys own-keys">
        {OWN_KEYS.map(({ where, keys, label }) => (
          <div key={where()}>
            <dt>
              {keys.map((key) => (
                <kbd key={key}>{keyText(key)}</kbd>
              ))}
            </dt>
            <dd>{rich`${<b>{where()}</b>}: ${label()}`}</dd>
          </div>
        ))}
      </dl>
      <p className="hint">{say`Keys of the page are left alone while you type in a box or move a slider.`}</p>
    </>
  );
}
