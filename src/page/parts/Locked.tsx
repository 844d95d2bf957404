/** Why a control cannot be moved that a lesson locks; the control is described by it. */
import { say } from '../../common.ts';

export const Locked = ({ id }: { readonly id: string }) => (
  <p id={id} className="hint" data-testid="locked">
    {say`Locked by whoever made this link.`}
  </p>
);
