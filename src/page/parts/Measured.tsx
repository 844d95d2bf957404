/** "How was this measured": the one way from a number on screen to how it was got. It opens by pointer, finger and key, and is read out. */
import { Button, Dialog, DialogTrigger, Popover } from 'react-aria-components';
import { Icon } from './Icon.tsx';
import { MEASURED, type MeasuredName } from './measured.ts';

/** @param about the number, as it is called on screen */
export function Measured({ of, about }: { readonly of: MeasuredName; readonly about: string }) {
  const name = `How was this measured: ${about}`;
  return (
    <DialogTrigger>
      <Button className="tip-button measured-button" aria-label={name}>
        <Icon name="info" />
      </Button>
      <Popover className="popover" offset={4}>
        <Dialog className="measured" aria-label={name}>
          <p>{MEASURED[of]}</p>
        </Dialog>
      </Popover>
    </DialogTrigger>
  );
}
