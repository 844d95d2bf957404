/** The keyboard sheet, written by the command table. */
import { Dialog, Heading, Modal, ModalOverlay } from 'react-aria-components';
import { COMMANDS } from '../commands.ts';
import { KeptFiles } from '../features/offline/NewVersion.tsx';
import { usePage, useUi } from '../usePage.ts';
import { IconButton } from './Icon.tsx';

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
          <Heading slot="title">Keyboard</Heading>
          <IconButton slot="close" icon="cross" label="Close" className="dialog-close" />
          <dl className="keys">
            {COMMANDS.map(({ id, keyLabel, label }) => (
              <div key={id}>
                <dt>
                  <kbd>{keyLabel}</kbd>
                </dt>
                <dd>{label}</dd>
              </div>
            ))}
          </dl>
          <p className="hint">Keys are left alone while you type in a box or move a slider.</p>
          <KeptFiles />
        </Dialog>
      </Modal>
    </ModalOverlay>
  );
}
