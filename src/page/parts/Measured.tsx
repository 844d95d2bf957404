/** "How was this measured": the one way from a number on screen to how it was got. It opens by pointer, finger and key, and is read out. */
import { memo, type ReactNode } from 'react';
import { Button, Dialog, DialogTrigger, Popover } from 'react-aria-components';
import { say } from '../../common.ts';
import { Icon } from './Icon.tsx';
import { MEASURED, type MeasuredName } from './measured.ts';

/**
 * @param about the number, as it is called on screen
 * @param children what opens it: the name of the number; a sign where that is elsewhere
 */
export const Measured = memo(function Measured(props: {
  readonly of: MeasuredName;
  readonly about: string;
  readonly children?: ReactNode;
}) {
  const { of, about, children } = props;
  const name = say`${about}: how was this measured?`;
  return (
    <DialogTrigger>
      <Button
        className={children === undefined ? 'tip-button measured-button' : 'measured-name'}
        aria-label={name}
      >
        {children ?? <Icon name="info" />}
      </Button>
      <Popover className="popover" offset={4}>
        <Dialog className="measured" aria-label={name}>
          <p>{MEASURED[of]()}</p>
        </Dialog>
      </Popover>
    </DialogTrigger>
  );
});
